"""Measure every file, and the models they came from, on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgedistill.artifact import Artifact, write_json
from edgedistill.devices import DEVICES, Job, Protocol, Record, in_short, in_turn, row
from edgedistill.errors import UserError, out_of_resources
from edgedistill.recipe import BenchmarkConfig
from edgedistill.records import DataRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen

_IMAGES = 32
_ROUNDS = 3


class Config(Frozen):
    benchmark: BenchmarkConfig
    threads: int
    machine: str
    """Digest of this machine's identity: another machine measures anew."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> dict[str, Any]:
    begin = time.monotonic()
    pixels = _write_pixels(inputs["data"].path, context.checkpoints / "pixels.npy")
    asked = config.benchmark
    protocol = Protocol(asked.warmup, asked.runs, asked.seconds, config.threads)
    warnings: list[str] = []
    subjects = [*_files(inputs["export"]), *_models(inputs, context, warnings)]
    jobs = [Job(path, name["runtime"], pixels, protocol) for name, path in subjects]
    device = DEVICES["local"]

    def tick(done: int, total: int, job: Job, record: Record) -> None:
        context.reporter.tick("benchmark", done, total, in_short(job, record))

    records = in_turn(device, jobs, _ROUNDS, tick)
    where = device.where()
    rows = [
        {**name, **row(record, config.threads, where)}
        for (name, _), record in zip(subjects, records, strict=True)
    ]
    write_json(context.scratch / "measurements.json", rows)
    kept = ("model", "runtime", "precision", "file", "p50_ms", "peak_memory_mb")
    return {
        "label": f"measured on {where}",
        "rows": [{key: each[key] for key in kept} for each in rows],
        "warnings": warnings,
        "seconds": time.monotonic() - begin,
    }


def _write_pixels(data: Path, path: Path) -> Path:
    """Validation images to run on; the test set stays shut."""
    import numpy as np

    from edgedistill.data import open_split

    split = open_split(data, "validation")
    np.save(path, split.pixels(np.arange(min(_IMAGES, len(split)))))
    return path


def _files(export: Artifact) -> Iterator[tuple[dict[str, Any], Path]]:
    for entry in export.json("export.json")["files"]:
        name = {key: entry[key] for key in ("runtime", "precision", "file")}
        yield {"model": "student", **name}, export.file("files") / Path(entry["file"]).name


def _models(
    inputs: dict[str, Artifact], context: Context, warnings: list[str]
) -> Iterator[tuple[dict[str, Any], Path]]:
    """The teacher as torch runs it and as the primary runtime does, and the student before it was
    pruned. A model that cannot be converted is left out aloud; the compile does not need it."""
    primary = inputs["export"].json("export.json")["files"][0]["runtime"]
    teacher = inputs["teacher"].file("model")
    name = {"model": "teacher", "precision": "fp32", "file": None}
    stages = ["teacher"] if teacher.exists() else []
    if teacher.exists():
        yield {**name, "runtime": "torch"}, teacher
    for stage in [*stages, "distill"] if "prune" in inputs else stages:
        folder = context.checkpoints / stage
        folder.mkdir(exist_ok=True)
        try:
            path = _convert(inputs[stage].file("model"), primary, inputs["data"], folder)
        except Exception as error:  # converters raise whatever they like
            if out_of_resources(error) is not None:
                raise
            told = error.message if isinstance(error, UserError) else repr(error)
            text = f"{stage}: not timed in {primary}, which cannot take it ({told:.200})"
            context.reporter.say(f"benchmark: {text}")
            warnings.append(text)
            continue
        yield {**name, "model": stage, "runtime": primary}, path


def _convert(model: Path, runtime: str, data: Artifact, folder: Path) -> Path:
    """A model folder as an fp32 file of a runtime."""
    from edgedistill.compress.fold import fold
    from edgedistill.models import load
    from edgedistill.runtimes import RUNTIMES, Spec

    described = DataRecord.read(data)
    path = folder / f"model{RUNTIMES[runtime].suffix}"
    program = fold(load(model), described.inputs)
    RUNTIMES[runtime].write(program, path, Spec("fp32", described.classes))
    return path
