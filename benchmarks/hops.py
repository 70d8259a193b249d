"""Whether a stream is its whole windows, over a minute of sound, and what a hop costs.

Two students are compiled by a short recipe on words of three tones that nobody says: what they
answer and cost depends on how they are built, not on how well they were trained. Then a minute of
other sound goes hop by hop through the `step` of every file, its states fed back:

- float32: beside the torch graph's `main` over the window that ends at each hop, and beside the
  same runtime's `main`;
- int8: beside the int8 graph's `step` over the same stream, LiteRT by the kernels that it takes by
  itself, the others by their plainest, and beside the int8 graph's `main`;
- and `edgedistill benchmark` measures and counts a hop, on this machine and on an emulated core.

Needs `edgedistill device setup emulator`; `--device` names other devices.

    python -m benchmarks.hops [--device NAME]... [--work DIR]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.common import Quiet, write
from benchmarks.small_sounds import encoded, hiss, mixed, word
from edgedistill import program_file
from edgedistill.api import benchmark
from edgedistill.bundle import measure, write_bundle
from edgedistill.cache import Cache
from edgedistill.devices import Device, Job, Record, open_device
from edgedistill.devices import in_turn as devices_in_turn
from edgedistill.pipeline import Result, run_until
from edgedistill.program import MAIN, Program, graph_of
from edgedistill.recipe import parse_recipe
from edgedistill.records import ExportRecord, FileEntry
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.sequences import Stream, reference, scales_of
from edgedistill.target import load_target

RATE, SECONDS, WINDOW = 16_000, 60, 1.5
DEVICES = ("local", "emulator:cortex-a76")
PRECISIONS = ("fp32", "int8")
STUDENTS: dict[str, dict[str, Any]] = {
    "ds_cnn": {"family": "ds_cnn", "width": 40},
    "bc_resnet": {"family": "bc_resnet", "scale": 1},
}
SHORT = {"epochs": 3, "batch_size": 16, "optimizer": "adamw", "learning_rate": 0.002}
AT_ONCE = 64
"""Windows."""
STEPS = (0, 1, 2)
"""Of the output's scale, within which int8 values are counted."""


def write_recordings(folder: Path) -> None:
    """Two words, what is neither, and noise; of one time, so that a second run compiles nothing."""
    for number, name in enumerate(("no", "yes")):
        for take in range(40):
            _write(folder / "words" / name / f"{take}.wav", word(number, take, 0.6, RATE))
    for number in range(12):
        spoken = [word(100 * (1 + number) + part, rate=RATE) for part in range(15)]
        _write(folder / "other" / f"{number}.wav", np.concatenate(spoken))
    for number in range(6):
        _write(folder / "noise" / f"{number}.wav", hiss(number, 3.0, RATE))


def _write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(samples, RATE))
    os.utime(path, (0, 0))


def document(folder: Path, student: dict[str, Any]) -> dict[str, Any]:
    """A recipe as `examples/wake_words.yaml`, that trains for a minute."""
    return {
        "name": student["family"],
        "task": "keywords",
        "data": {
            "source": "folder", "train": str(folder / "words"),
            "sound": {"seconds": WINDOW, "negatives": [str(folder / "other")],
                      "noise": [str(folder / "noise")]},
        },
        "teacher": {"family": "ds_cnn", "width": 16, "blocks": 2},
        "student": student,
        "stages": {
            "teacher": {"train": SHORT},
            "distill": SHORT,
            "quantize": {"method": "qat", "epochs": 1, "batch_size": 16, "sensitivity_samples": 0},
            "export": {"precisions": list(PRECISIONS)},
            "audit": {"corruption_samples": 0},
            "listen": {"false_accepts_per_hour": 1000},
            "benchmark": {"runs": 10, "seconds": 0.1},
        },
    }  # fmt: skip


def compiled(folder: Path, name: str) -> Result:
    """What a compile leaves of one of `STUDENTS`."""
    recipe = parse_recipe(document(folder / "recordings", STUDENTS[name]), name)
    target = load_target("android-arm64")
    made = run_until(recipe, target, Cache(folder / "cache", print), Quiet())
    return Result(recipe, target, made)


@dataclass(frozen=True)
class Minute:
    """Of sound, as one student hears it."""

    samples: np.ndarray
    hop: int
    length: int
    """Of the whole window, in samples."""

    @property
    def hops(self) -> np.ndarray:
        """(steps, 1, hop)"""
        return self.samples[: len(self.samples) // self.hop * self.hop].reshape(-1, 1, self.hop)

    @property
    def windows(self) -> np.ndarray:
        """(steps, length): what ends with each hop, with silence before the first."""
        padded = np.concatenate([np.zeros(self.length, np.float32), self.hops.ravel()])
        sliding = np.lib.stride_tricks.sliding_window_view(padded, self.length)
        return sliding[self.hop :: self.hop]

    @property
    def full(self) -> int:
        """The first step whose window is of sound alone: before it, a stream's states are zero,
        which is no silence."""
        return -(-self.length // self.hop) - 1


def whole(call: Any, windows: np.ndarray) -> np.ndarray:
    """(steps, classes): what a `main` answers to each window."""
    blocks = range(0, len(windows), AT_ONCE)
    batches = (np.ascontiguousarray(windows[at : at + AT_ONCE]) for at in blocks)
    return np.concatenate([np.asarray(call(each)) for each in batches])


def of_graph(program: Program) -> Any:
    """A torch graph as something to call with an array."""
    graph = graph_of(program)

    def call(windows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            given = graph(torch.from_numpy(windows))
        first: torch.Tensor = given if isinstance(given, torch.Tensor) else given[0]
        return first.numpy()

    return call


def streamed(path: Path, entry: FileEntry, plain: bool, minute: Minute) -> np.ndarray:
    """(steps, classes): what a file's step answers to each hop."""
    stream = Stream(RUNTIMES[entry.runtime].load(path, optimize=not plain, program="step"))
    return np.concatenate([stream.judged(each) for each in minute.hops])


def equal(name: str, made: Result) -> list[dict[str, Any]]:
    """A row for each runtime and precision."""
    stored, export = made.artifacts["quantize"].path, made.artifacts["export"]
    record, files = ExportRecord.read(export), export.file("files")
    rows = []
    for precision in PRECISIONS:
        kind = "int8" if precision == "int8" else "float"
        main, step = (program_file.load(program_file.place(stored, each, kind))
                      for each in (MAIN, "step"))  # fmt: skip
        (fresh,), (window,) = step.signature.fresh, main.signature.inputs
        assert fresh.shape[1] and window.shape[1]
        minute = Minute(mixed(SECONDS, RATE), fresh.shape[1], window.shape[1])
        wanted = whole(of_graph(main), minute.windows)
        answer = step.signature.outputs[step.signature.answer].name
        hops = [(torch.from_numpy(each),) for each in minute.hops]
        graphs = reference(step, hops)[answer] if kind == "int8" else wanted
        scale = scales_of(step)[answer]
        for runtime in made.target.runtimes:
            entry, whole_entry = (
                _entry(each, runtime, precision) for each in (record.others, record.main)
            )
            plain = kind == "int8" and runtime != "litert"
            found = streamed(files / entry.file, entry, plain, minute)
            own = RUNTIMES[runtime].load(files / whole_entry.file, optimize=not plain, program=MAIN)
            rows.append({
                "name": name, "runtime": runtime, "precision": precision, "plain_kernels": plain,
                "hop_ms": 1000 * minute.hop / RATE, "hops": len(found),
                "windows": len(found) - minute.full, "range": float(np.ptp(wanted)),
                **_apart(found, graphs, wanted, whole(own, minute.windows), scale, minute.full),
            })  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def _entry(entries: Sequence[FileEntry], runtime: str, precision: str) -> FileEntry:
    (found,) = (e for e in entries if (e.runtime, e.precision) == (runtime, precision))
    return found


def _apart(
    found: np.ndarray, graphs: np.ndarray, wanted: np.ndarray, own: np.ndarray,
    scale: float | None, full: int,
) -> dict[str, Any]:  # fmt: skip
    """How far a file's steps are from the graph's steps, from its whole windows, and from their own
    runtime's."""
    windows, runtimes = (np.abs(found - each)[full:] for each in (wanted, own))
    if scale is None:
        return {"fp32_apart": float(windows.max()), "own_apart": float(runtimes.max())}
    steps = np.rint(np.abs(found - graphs) / scale)
    return {
        "step": scale,
        **{f"within_{each}": float((steps <= each).mean()) for each in STEPS},
        "max_steps": int(steps.max()),
        "window_steps": int(np.rint(windows / scale).max()),
        "own_steps": int(np.rint(runtimes / scale).max()),
    }


def costs(bundle: Path, devices: Sequence[str]) -> list[dict[str, Any]]:
    """What the command measures and counts of each file's step."""
    kept: dict[tuple[str, str], list[float]] = {}

    def in_turn(device: Device, jobs: list[Job], *given: Any, **named: Any) -> list[Record | None]:
        records = devices_in_turn(device, jobs, *given, **named)
        for job, record in zip(jobs, records, strict=True):
            if record is not None and job.program == "step":
                kept[device.name, job.model.name] = record.samples_ms
        return records

    with patch.object(measure, "in_turn", in_turn):
        rows: list[dict[str, Any]] = benchmark(bundle, device=devices, reporter=Quiet())
    return [
        {**row, "operators": len(row.get("operators", ())),
         "samples_ms": kept[row["device"], row["file"]]}
        for row in rows if row["program"] == "step"
    ]  # fmt: skip


def with_costs(rows: list[dict[str, Any]], found: Sequence[dict[str, Any]]) -> None:
    """Put the figures of a hop beside those of the same file."""
    for row in rows:
        key = row["runtime"], row["precision"]
        for each in found:
            if (each["runtime"], each["precision"]) != key:
                continue
            if each["device"] == "local":
                row |= {"p50_ms": each["p50_ms"], "p90_ms": each["p90_ms"],
                        "real_time_percent": 100 * each["p50_ms"] / row["hop_ms"]}  # fmt: skip
            elif each.get("instructions"):
                row["k_instructions"] = each["instructions"]["all"] / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", action="append", help="instead of local and emulated")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "hops")
    parser.add_argument("--student", action="append", choices=list(STUDENTS), help="not each")
    asked = parser.parse_args()
    students = asked.student or list(STUDENTS)
    devices = asked.device or DEVICES
    write_recordings(asked.work / "recordings")
    rows, measured, load = [], [], os.getloadavg()
    for name in students:
        made = compiled(asked.work, name)
        found = equal(name, made)
        bundle = write_bundle(made, asked.work / name).path
        cost = costs(bundle, devices)
        with_costs(found, cost)
        rows += found
        measured += [{"name": name, **each} for each in cost]
    identities = {}
    for each in devices:
        with open_device(each) as device:
            identities[each] = asdict(device.identity())
    used = {name: STUDENTS[name] for name in students}
    write("hops", rows, seeds=[0], students=used, training=SHORT, seconds=SECONDS,
          window_seconds=WINDOW, devices=identities, load_at_start=load, measured=measured,
          data="a minute of generated sound; students trained for three epochs")  # fmt: skip


if __name__ == "__main__":
    main()
