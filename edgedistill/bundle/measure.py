"""Measure the files of a bundle, or a model file on its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.apart import Apart
from edgedistill.artifact import JsonValue
from edgedistill.bundle.bundle import Bundle
from edgedistill.devices import (
    BenchmarkModel,
    Device,
    Job,
    Protocol,
    Record,
    counts,
    figures,
    in_short,
    in_turn,
    in_words,
    told,
)
from edgedistill.errors import UserError, reading
from edgedistill.program import MAIN
from edgedistill.records import ReportRecord, as_json, from_json
from edgedistill.runtimes import RUNTIMES, runtime_of, size_of
from edgedistill.scratch import scratch_folder

if TYPE_CHECKING:
    import numpy as np

    from edgedistill.signature import Inputs, TensorSpec
    from edgedistill.tasks import Task

_PATIENCE, _PER_MB = 4.0, 1.0
"""Seconds in which a model file must have come up, and have answered once; more for large ones."""
_NOISE_SAMPLES = 8
_ROUNDS = 3
_LARGEST = 10**8
"""Values that an image may have."""


@dataclass(frozen=True)
class Subject:
    """A model file with what to feed it."""

    path: Path
    runtime: str
    precision: str | None
    inputs: dict[str, np.ndarray]
    """By name, each (samples, ...), pictures (samples, channels, height, width) in 0..1: golden
    inputs, or noise."""
    shipped: bool = True
    quality: float | None = None
    """On the test set, in percent, as the bundle's report has it."""
    task: Task | None = None
    """None of a model file alone."""
    program: str = MAIN

    @property
    def size_kb(self) -> float:
        """KB of 1,000 bytes."""
        return size_of(self.path) / 1000


def subjects(subject: Bundle | str | Path) -> list[Subject]:
    """Every file of a bundle, or one model file.

    Raises UserError: neither of the two, or not a model of images.
    """
    if isinstance(subject, Bundle):
        return _of_bundle(subject)
    path = Path(subject)
    if not path.exists():
        raise UserError(f"not found: {path}", "give a bundle or a model file")
    return [_of_file(path)] if path.is_file() else _of_bundle(Bundle.load(path))


def _of_bundle(bundle: Bundle) -> list[Subject]:
    inputs, task = bundle.golden_inputs(), bundle.task
    report = from_json(ReportRecord, bundle.report)
    known = {row.file: row.quality for row in report.files}
    files = [
        Subject(
            bundle.path / entry["file"],
            entry["runtime"],
            entry["precision"],
            inputs,
            entry["file"] == bundle.manifest["shipped"],
            known.get(entry["file"]),
            task,
        )
        for entry in bundle.files
    ]
    return [*files, *(_step(bundle, entry) for entry in bundle.manifest.get("programs", []))]


def _step(bundle: Bundle, entry: dict[str, Any]) -> Subject:
    """A program that keeps a state, as it begins: what a step takes depends on no value."""
    import numpy as np
    from pydantic import TypeAdapter

    from edgedistill.signature import Signature

    signature = TypeAdapter(Signature).validate_python(entry["signature"])
    with np.load(bundle.path / entry["golden"]) as golden:
        inputs = {name: golden[name] for name in golden}
    steps = len(next(iter(inputs.values())))
    for name in signature.state.values():
        (spec,) = (each for each in signature.inputs if each.name == name)
        inputs[name] = np.zeros((steps, *_sample_shape(spec)), np.float32)
    return Subject(
        bundle.path / entry["file"], entry["runtime"], entry["precision"], inputs,
        shipped=False, program=entry["program"],
    )  # fmt: skip


def _of_file(path: Path) -> Subject:
    import numpy as np

    runtime = runtime_of(path)
    with _opening_apart({runtime.name}) as apart:
        taken = apart.call(str(path), patience(path), _inputs_of, path)
    random = np.random.default_rng(0)
    return Subject(
        path, runtime.name, None, {each.name: _noise(path, each, random) for each in taken}
    )


def _noise(path: Path, spec: TensorSpec, random: np.random.Generator) -> np.ndarray:
    """Real values for an input. Raises UserError: it is of no size, or too large."""
    import numpy as np

    sizes = [size or 1 for size in spec.shape[1:]]
    if not 0 < math.prod(sizes) <= _LARGEST:
        raise UserError(
            f"{path}: its input {spec.name} has shape {spec.shape}", "give a model of a fixed size"
        )
    drawn = random.random((_NOISE_SAMPLES, *_sample_shape(spec)), dtype=np.float32)
    return drawn if spec.scale is not None else drawn.astype(spec.dtype)


def _sample_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Of the real values of one sample, pictures (channels, height, width)."""
    sizes = [size or 1 for size in spec.shape[1:]]
    return (sizes[2], *sizes[:2]) if spec.layout == "NHWC" else tuple(sizes)


def check_opens(bundle: Bundle, entries: list[dict[str, Any]]) -> None:
    """Open model files in another process, and run each once. Raises UserError: one ends it, or
    gives other values than the labels are of."""
    inputs = [values[:1] for values in bundle.golden_inputs().values()]
    with _opening_apart({entry["runtime"] for entry in entries}) as apart:
        for entry in entries:
            path = bundle.path / entry["file"]
            wait = patience(path)
            values = apart.call(str(path), wait, _answer, path, entry["runtime"], *inputs)
            if not bundle.task.by_texts:  # whose files give places in a space
                bundle.check_width(values)


def _opening_apart(runtimes: set[str]) -> Apart:
    """A process in which these are imported already."""
    apart = Apart("the file is damaged or of another kind; export it again")
    apart.call("importing the runtimes", None, _prepare, sorted(runtimes))
    return apart


def _prepare(runtimes: list[str]) -> None:
    for name in runtimes:
        RUNTIMES[name].prepare()


def patience(path: Path) -> float:
    """Seconds to wait for a model file that has to come up, or to answer once."""
    return _PATIENCE + _PER_MB * size_of(path) / 1e6


def _inputs_of(path: Path) -> Inputs:
    return runtime_of(path).load(path).signature.inputs


def _answer(path: Path, runtime: str, *inputs: np.ndarray) -> int:
    """How many values a file gives for a sample."""
    with reading(str(path), "the file does not take what the bundle says it does"):
        return int(RUNTIMES[runtime].load(path)(*inputs).shape[1])


def measure(
    found: list[Subject],
    protocol: Protocol,
    device: Device,
    outputs: bool = False,
    say: Callable[[str], None] = lambda text: None,
    by: BenchmarkModel | None = None,
) -> list[dict[str, JsonValue]]:
    """Rows as in `measurements.json`; with `outputs`, also what a task judges of each input. `say`
    is told of each round of each file as it ends, and of files that the device cannot run.

    by: measures .tflite files too; a row of what it told follows each one's own.

    Raises UserError: the device can run none of them, or not that program, or one fails there.
    """
    taken = [subject for subject in found if subject.runtime in device.runtimes]
    for runtime in sorted({subject.runtime for subject in found} - set(device.runtimes)):
        say(f"{device.name}: left out: {runtime}, which does not run there")
    if not taken:
        raise UserError(
            f"{device.name} runs none of these files",
            f"it runs those of {' and '.join(device.runtimes)}",
        )
    with scratch_folder() as folder, device:
        identity = device.identity()
        where = in_words(identity)
        say(f"{device.name}: {where}")
        if by and by.isa != identity.isa:
            raise UserError(
                f"{by.path}: is built for {by.isa}, and {device.name} is {identity.isa}",
                "take the benchmark_model that LiteRT releases for that processor",
            )
        jobs = _jobs(taken, folder, protocol)
        records = in_turn(
            device,
            jobs,
            # A round in ten minutes is no ten minutes in a row.
            rounds=1 if protocol.minimum_seconds else _ROUNDS,
            tick=lambda done, total, job, record: say(f"{done}/{total} {in_short(job, record)}"),
            left_out=lambda job, error: say(f"{device.name}: left out: {error.message}"),
        )
        beside = {
            place: _as_told(device, replace(job, by=by), where, say)
            for place, job in enumerate(jobs)
            if by and job.runtime == "litert"
        }
    rows: list[dict[str, JsonValue]] = []
    for place, (subject, record) in enumerate(zip(taken, records, strict=True)):
        if record is not None:
            told_of = figures if record.samples_ms else counts
            row = as_json(told_of(record, protocol, device, where))
            answers = {"outputs": judged(record).tolist()} if outputs else {}
            rows.append({**_about(subject), **row, **answers})
        if place in beside:
            rows.append({**_about(subject), **beside[place]})
    return rows


def _about(subject: Subject) -> dict[str, JsonValue]:
    return {
        "runtime": subject.runtime,
        "precision": subject.precision,
        "file": subject.path.name,
        "program": subject.program,
        "size_kb": subject.size_kb,
    }


def _as_told(
    device: Device, job: Job, where: str, say: Callable[[str], None]
) -> dict[str, JsonValue]:
    """A file by `benchmark_model`: once for times, as it tells no samples to put together, and once
    for memory, as looking for that takes time."""
    timed = device.run(job)
    say(f"by benchmark_model: {in_short(job, timed)}")
    memory = device.run(replace(job, memory=True))
    row: dict[str, JsonValue] = as_json(told(timed, memory, job, device, where))
    return row


def _jobs(found: list[Subject], folder: Path, protocol: Protocol) -> list[Job]:
    import numpy as np

    jobs = []
    for place, subject in enumerate(found):
        inputs = folder / f"{place}.npz"
        np.savez(inputs, **subject.inputs)  # type: ignore[arg-type]
        jobs.append(Job(subject.path, subject.runtime, inputs, protocol, subject.program))
    return jobs


def judged(record: Record) -> np.ndarray:
    """The real values (samples, values) of the output that a task judges."""
    from edgedistill.runtimes.native import to_real

    signature = record.signature
    if signature is None:
        return next(iter(record.outputs.values()))
    spec = signature.outputs[signature.answer]
    return to_real(record.outputs[spec.name], spec)
