"""A bundle on every kind of device, by one command: what is told of each, and whether they answer
alike.

A shortened CIFAR-10 recipe is compiled. Android's own adbd and OpenSSH's server are started on this
machine, both with an arm64 processor under QEMU. One command measures the bundle on this machine,
three emulated cores, a browser, the phone and the board; what each file gave in it is compared too.
Times of the phone and the board are QEMU's and mean nothing: they are in the record, as the command
told them, and in no row.

Needs `apt-get install adb openssh-server qemu-user gcc-aarch64-linux-gnu chromium`,
`edgedistill device setup emulator` and `browser`, and `python tests/devices/phone.py`.

    python -m benchmarks.devices [--data DIR] [--cache DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.common import DATA, write
from edgedistill import api
from edgedistill.api import benchmark as api_benchmark
from edgedistill.artifact import file_digest
from edgedistill.bundle import Bundle, measure
from edgedistill.bundle.measure import Subject, subjects
from edgedistill.cache import default_root
from edgedistill.command_line import run
from edgedistill.devices import Device, Job, Record
from edgedistill.devices import in_turn as devices_in_turn
from edgedistill.signature import TensorSpec

ROOT = Path(__file__).parents[1]
CPU = "cortex-a76"
"""Of the phone and of the board."""
DEVICES = ("local", "emulator:cortex-a76", "emulator:neoverse-n1", "emulator:i8mm", "browser",
           "adb:127.0.0.1:5555", "ssh:board")  # fmt: skip
TIMES_OF_QEMU = ("adb:127.0.0.1:5555", "ssh:board")
PRECISIONS = ("fp32", "int8")
"""Whose costs and outputs are compared; the command measures every file."""
SHORTENED = {
    "data.limit": 4000,
    "stages.teach.views": 2,
    "stages.distill.epochs": 4,
    "stages.prune.epochs": 4,
    "stages.prune.rounds": 1,
    "stages.prune.max_drop": 100,
    "stages.quantize.epochs": 1,
    "contract.min_retention": "null",
}
"""What is cheaper than in `cifar10_pruned.yaml`. The student is as large, and knows less."""


def compiled(data: Path, cache: Path, out: Path) -> Bundle:
    """The bundle of the shortened recipe."""
    settings = {
        "data.train": data / "data/cifar10/train.parquet",
        "data.test": data / "data/cifar10/test.parquet",
        "teacher.weights": data / "teachers/resnet56_cifar10.safetensors",
        **SHORTENED,
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    recipe = str(ROOT / "benchmarks" / "cifar10_pruned.yaml")
    target = ["--target", "android-arm64", "--cache", str(cache), "--out", str(out)]
    code = run(["compile", recipe, *target, *words])
    assert code == 0, code
    return Bundle.load(out)


@contextmanager
def phone_and_board() -> Iterator[None]:
    """Both behind the `adb` and the `ssh` on PATH, as long as the context is open."""
    # How they are made is the tests' business.
    sys.path.append(str(ROOT / "tests" / "devices"))
    from far_end import UNAME, missing_for_arm64
    from phone import Phone
    from phone import missing as without_adb
    from sshd import missing as without_ssh
    from sshd import serving

    lacking = without_adb() or without_ssh() or missing_for_arm64()
    if lacking:
        sys.exit(lacking)
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        for name in ("bin", "phone", "board"):
            (folder / name).mkdir()
        phone = Phone(folder / "phone", {"uname": UNAME}, CPU)
        stack.callback(phone.end)
        phone.client(folder / "bin" / "adb")
        board = stack.enter_context(serving(folder / "board", CPU))
        board.client(folder / "bin" / "ssh")
        before = os.environ["PATH"]
        stack.callback(os.environ.update, PATH=before)
        os.environ["PATH"] = f"{folder / 'bin'}:{before}"
        yield


@dataclass(frozen=True)
class Told:
    """What the command gave."""

    rows: list[dict[str, Any]]
    answers: dict[str, dict[str, Record]]
    """By the device's name, then the file's: what it gave of the golden inputs."""
    printed: str
    said: list[tuple[float, str]]
    """Lines on standard error, and after how many seconds."""


class Clocked(io.TextIOBase):
    """Takes lines down, and passes them on."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []
        self._begun = time.monotonic()

    def write(self, text: str) -> int:
        if text.strip():
            self.lines.append((round(time.monotonic() - self._begun, 1), text.strip()))
            print(text.strip(), file=sys.__stderr__, flush=True)
        return len(text)


def command(bundle: Path) -> list[str]:
    """The one command."""
    return ["benchmark", str(bundle), *(word for each in DEVICES for word in ("--device", each))]


def told(bundle: Path) -> Told:
    """Run it. Its rows are those that `--json` would have printed."""
    kept: list[dict[str, Any]] = []
    answers: dict[str, dict[str, Record]] = {}

    def benchmark(*given: Any, **named: Any) -> list[dict[str, Any]]:
        kept.extend(api_benchmark(*given, **named))
        return kept

    def in_turn(device: Device, jobs: list[Job], *given: Any, **named: Any) -> list[Record | None]:
        records = devices_in_turn(device, jobs, *given, **named)
        answers[device.name] = {
            job.model.name: record
            for job, record in zip(jobs, records, strict=True)
            if record is not None
        }
        return records

    printed, said = io.StringIO(), Clocked()
    with (
        patch.object(api, "benchmark", benchmark),
        patch.object(measure, "in_turn", in_turn),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(said),
    ):
        code = run(command(bundle))
    assert code == 0, code
    return Told(kept, answers, printed.getvalue(), said.lines)


def apart(here: Record, there: Record) -> float:
    """The largest difference of any output, in its steps where it has any; 0 where all are the
    same, bit for bit."""
    assert here.signature is not None
    return max(_apart(each, here, there) for each in here.signature.outputs)


def _apart(spec: TensorSpec, here: Record, there: Record) -> float:
    wanted, found = here.outputs[spec.name], there.outputs[spec.name]
    assert (wanted.dtype, wanted.shape) == (found.dtype, found.shape)
    if wanted.tobytes() == found.tobytes():
        return 0.0
    return float(np.abs(wanted.astype(np.float64) - found.astype(np.float64)).max())


def rows_of(found: list[Subject], result: Told) -> list[dict[str, Any]]:
    """A row for each device and runtime: what int8 costs there beside float32, and its outputs
    beside this machine's."""
    rows = []
    for device in DEVICES:
        for runtime in dict.fromkeys(each.runtime for each in found):
            files = {each.precision: each.path.name for each in found if each.runtime == runtime}
            costs = {
                precision: row
                for precision, file in files.items()
                for row in result.rows
                if (row["device"], row["file"]) == (device, file)
            }
            if not costs:
                continue
            row = {"name": device, "runtime": runtime, "how": _how(device, costs)}
            for precision in PRECISIONS:
                file = files[precision]
                if file in result.answers[device]:
                    far = apart(result.answers["local"][file], result.answers[device][file])
                    row[f"{precision}_apart"] = far
            rows.append(row | _costs(device, costs))
    return rows


def _how(device: str, costs: dict[str | None, dict[str, Any]]) -> str:
    how = str(next(iter(costs.values()))["how"])
    return "answers, under QEMU" if device in TIMES_OF_QEMU else how


def _costs(device: str, rows: dict[str | None, dict[str, Any]]) -> dict[str, float]:
    if device in TIMES_OF_QEMU:
        return {}
    counted = "instructions" in next(iter(rows.values()))
    costs = {
        precision: row["instructions"]["all"] / 1000 if counted else row["p50_ms"]
        for precision, row in rows.items()
    }
    unit = "k_instructions" if counted else "ms"
    found = {f"{precision}_{unit}": costs[precision] for precision in PRECISIONS
             if precision in costs}  # fmt: skip
    if len(found) == 2:
        found["int8_share"] = costs["int8"] / costs["fp32"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cache", type=Path, default=default_root())
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = compiled(asked.data.resolve(), asked.cache, Path(folder) / "cifar10")
        found = subjects(bundle)
        with phone_and_board():
            result = told(bundle.path)
        rows = rows_of(found, result)
        digests = {each.path.name: file_digest(each.path) for each in found}
    apart_of = {row["name"]: row["int8_apart"] for row in rows
                if row["runtime"] == "litert" and "int8_apart" in row}  # fmt: skip
    differing = [name for name, steps in apart_of.items() if steps]
    write(
        "devices", rows, seeds=[0],
        data="`cifar10_pruned.yaml`, shortened", shortened=SHORTENED,
        command=["edgedistill", *command(Path("cifar10"))], files=digests,
        litert_int8_steps_apart=apart_of,
        told=[{**row, "operators": len(row.get("operators", ()))} for row in result.rows],
        told_in_print=result.printed, said=result.said,
    )  # fmt: skip
    print(result.printed)
    print(f"LiteRT's int8 outputs differ from this machine's on: {differing or 'none'}")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
