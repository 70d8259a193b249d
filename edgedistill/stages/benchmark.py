"""Measure every file, and the models they came from, on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.devices import (
    Job,
    Protocol,
    Record,
    figures,
    in_short,
    in_turn,
    in_words,
    open_device,
)
from edgedistill.errors import UserError, out_of_resources
from edgedistill.program import MAIN
from edgedistill.recipe import BenchmarkConfig
from edgedistill.records import (
    DataRecord,
    ExportRecord,
    Figures,
    MeasurementRow,
    MeasurementsRecord,
)
from edgedistill.runtime_table import TABLE
from edgedistill.signature import Inputs, image_size, noise
from edgedistill.stages import Context
from edgedistill.target import Frozen

if TYPE_CHECKING:
    import numpy as np

_IMAGES = 32
ROUNDS = 3


class Config(Frozen):
    """What the measurements depend on."""

    benchmark: BenchmarkConfig
    threads: int
    machine: str
    """Digest of this machine's identity: another machine measures anew."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `measurements.json`: a row for each file, and for each model in torch."""
    begin = time.monotonic()
    asked = config.benchmark
    protocol = Protocol(asked.warmup, asked.runs, asked.seconds, config.threads)
    warnings: list[str] = []
    subjects = [*files_of(inputs["export"]), *_models(inputs, context, warnings)]
    place = Place(context.checkpoints, inputs["data"].path, context.seed)
    jobs = [job_of(subject, place, protocol) for subject in subjects]

    def tick(done: int, total: int, job: Job, record: Record) -> None:
        context.reporter.tick("benchmark", done, total, in_short(job, record))

    with open_device("local") as device:
        records = in_turn(device, jobs, ROUNDS, tick)
        where = in_words(device.identity())
    rows = tuple(
        row(subject, figures(record, protocol, device, where))
        for subject, record in zip(subjects, records, strict=True)
        if record is not None
    )
    MeasurementsRecord(rows).write(context.scratch)
    kept = ("model", "runtime", "precision", "file", "program", "p50_ms", "peak_memory_mb")
    return {
        "label": f"measured on {where}",
        "rows": [{key: getattr(each, key) for key in kept} for each in rows],
        "warnings": warnings,
        "seconds": time.monotonic() - begin,
    }


def row(subject: Subject, found: Figures) -> MeasurementRow:
    """The figures of a subject under its name."""
    return MeasurementRow(
        **vars(found), model=subject.model, runtime=subject.runtime,
        precision=subject.precision, file=subject.file, program=subject.program,
    )  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where inputs are taken from and put."""

    folder: Path
    data: Path
    seed: int


@dataclass(frozen=True)
class Subject:
    """What is measured, and the name of its row."""

    path: Path
    """A model file; for the runtime `torch`, a model folder."""
    model: str
    runtime: str
    precision: str = "fp32"
    file: str | None = None
    size: tuple[int, int] | None = None
    """Height and width of the images that it takes, where these are not the data's."""
    program: str = MAIN
    inputs: Inputs = ()
    """Of a program that takes something else than the data."""


def job_of(subject: Subject, place: Place, protocol: Protocol) -> Job:
    """On validation samples as the model takes them; the test set stays shut."""
    import numpy as np

    from edgedistill.data import open_split

    if subject.program != MAIN:
        path = place.folder / f"inputs_{subject.file}_{subject.program}.npz"
        np.savez(path, **cast(Any, _drawn(subject.inputs, place.seed)))
        return Job(subject.path, subject.runtime, path, protocol, program=subject.program)
    height, width = subject.size or (0, 0)
    path = place.folder / f"inputs_{height}x{width}.npz"
    if not path.exists():
        split = open_split(place.data, "validation", subject.size)
        samples = split.inputs(np.arange(min(_IMAGES, len(split))))
        np.savez(path, **cast(Any, samples))
    return Job(subject.path, subject.runtime, path, protocol)


def files_of(export: Artifact) -> Iterator[Subject]:
    """Every program of every exported file that runs here."""
    for entry in ExportRecord.read(export).files:
        if TABLE[entry.runtime].elsewhere:
            continue
        path = export.file("files") / entry.file
        yield Subject(
            path, "student", entry.runtime, entry.precision, entry.file, None, entry.program,
            entry.signature.inputs,
        )  # fmt: skip


def _drawn(inputs: Inputs, seed: int) -> dict[str, np.ndarray]:
    """Values for a program's inputs, its states among them: what a step takes depends on none."""
    import torch

    random = torch.Generator().manual_seed(seed)
    channels_first = tuple(
        replace(each, shape=(each.shape[0], each.shape[3], *each.shape[1:3]), layout="NCHW")
        if each.layout == "NHWC"
        else each
        for each in (replace(each, dtype="float32") if each.scale else each for each in inputs)
    )
    drawn = noise(channels_first, 1, random)
    return {each.name: values.numpy() for each, values in zip(inputs, drawn, strict=True)}


def _models(
    inputs: dict[str, Artifact], context: Context, warnings: list[str]
) -> Iterator[Subject]:
    """The teacher as torch runs it and as the primary runtime does, and the student before it was
    pruned. A model that cannot be converted is left out aloud; the compile does not need it."""
    from edgedistill.models import inputs_of

    primary = ExportRecord.read(inputs["export"]).files[0].runtime
    teacher = inputs["teacher"].file("model")
    stages = ["teacher"] if teacher.exists() else []
    if teacher.exists():
        yield Subject(teacher, "teacher", "torch", size=image_size(inputs_of(teacher)))
    for stage in [*stages, "distill"] if "prune" in inputs else stages:
        folder = context.checkpoints / stage
        folder.mkdir(exist_ok=True)
        try:
            model = inputs[stage].file("model")
            path = _convert(model, primary, inputs["data"], folder)
        except Exception as error:  # converters raise whatever they like
            if out_of_resources(error) is not None:
                raise
            told = error.message if isinstance(error, UserError) else repr(error)
            text = f"{stage}: not timed in {primary}, which cannot take it ({told:.200})"
            context.reporter.say(f"benchmark: {text}")
            warnings.append(text)
            continue
        yield Subject(path, stage, primary, size=image_size(inputs_of(model)))


def _convert(model: Path, runtime: str, data: Artifact, folder: Path) -> Path:
    """A model folder as an fp32 file of a runtime."""
    from edgedistill.compress.fold import fold
    from edgedistill.models import inputs_of, load
    from edgedistill.runtimes import RUNTIMES, Spec

    described = DataRecord.read(data)
    path = folder / f"model{RUNTIMES[runtime].suffix}"
    program = fold(load(model), inputs_of(model))
    RUNTIMES[runtime].write(program, path, Spec("fp32", described.classes))
    return path
