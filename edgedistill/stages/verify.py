"""Hold every file against the torch graph it was made from, on the whole test set.

This is where the test set is opened, once: the quality of the models before it is taken here too.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill import program_file
from edgedistill.artifact import Artifact, write_json
from edgedistill.data import Split, open_split
from edgedistill.distill.asking import plain_answers
from edgedistill.models import load as load_model
from edgedistill.recipe import Teacher, VerifyConfig
from edgedistill.runtimes import RUNTIMES, parity
from edgedistill.runtimes import program as programs
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks import Task
from edgedistill.tasks.predict import logits_of, task_of, torch_predictor

if TYPE_CHECKING:
    from edgedistill.runtimes import Floats

_GOLDEN = 8
_PLAIN, _AT_ONCE = 512, 32
"""Images for plain kernels, which may be a hundred times slower, and how many of them at once."""
_KERNELS = "this machine's kernels"


class Config(Frozen):
    verify: VerifyConfig
    models: tuple[str, ...]
    """Steps whose models' quality is taken too."""
    teacher: Teacher | None
    """One that is no torch model, and is asked for the test images too."""
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class _Reference:
    """The torch graph of one kind, what it answers on the test set, and its output's scale."""

    program: Any
    logits: Floats
    quality: float
    layers: list[programs.Layer]
    step: float | None


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> dict[str, Any]:
    begin = time.monotonic()
    split = open_split(inputs["data"].path, "test")
    exported = inputs["export"].json("export.json")["files"]
    described = inputs["data"].json("data.json")
    task = task_of(inputs)
    answers: dict[str, Floats] = {}
    for stage in config.models:
        if inputs[stage].file("model").exists():
            model = torch_predictor(load_model(inputs[stage].path / "model"))
            answers[stage] = logits_of(model, split)
    if config.teacher is not None:
        room = context.room(inputs["teacher"].path, described)
        asked = plain_answers(config.teacher, config.fingerprint, room, inputs["data"], "test",
                              context.checkpoints, context.reporter)  # fmt: skip
        if asked is not None:
            answers["teacher"] = asked
    scores = {stage: task.quality(logits, split.labels) for stage, logits in answers.items()}
    references = {}
    for kind in ("float", "int8"):
        stored = inputs["quantize"].file(f"{kind}.program")
        if stored.exists():
            references[kind] = _reference(stored, split, task)
            scores[kind] = references[kind].quality
            answers[kind] = references[kind].logits
    golden = context.scratch / "golden"
    golden.mkdir(exist_ok=True)
    np.save(golden / "inputs.npy", split.pixels(np.arange(min(_GOLDEN, len(split)))))
    rows = []
    for place, entry in enumerate(exported, 1):
        reference = references["int8" if entry["precision"] == "int8" else "float"]
        rows.append(_row(entry, inputs["export"].file("files"), reference, split, config.verify,
                         golden, task))  # fmt: skip
        context.reporter.tick("verify", place, len(exported), entry["file"])
    warnings = [f"{row['file']}: {text}" for row in rows for text in _words(row)]
    for text in warnings:
        context.reporter.say(f"verify: {text}")
    arrays: dict[str, Any] = dict(answers)
    np.savez(context.scratch / "logits.npz", **arrays)
    ok = all(row["ok"] for row in rows)
    write_json(context.scratch / "verify.json", {"ok": ok, "rows": rows, "torch": scores,
                                                 "images": len(split)})  # fmt: skip
    return {"ok": ok, "test_quality": scores, "warnings": warnings,
            "seconds": time.monotonic() - begin}  # fmt: skip


def _reference(path: Path, split: Split, task: Task) -> _Reference:
    program = program_file.load(path)
    logits = logits_of(torch_predictor(programs.module(program)), split)
    folded = programs.fold_weights(program)
    return _Reference(
        folded, logits, task.quality(logits, split.labels), programs.layers(folded),
        programs.output_scale(folded),
    )  # fmt: skip


def _row(
    entry: dict[str, Any],
    folder: Path,
    reference: _Reference,
    split: Split,
    asked: VerifyConfig,
    golden: Path,
    task: Task,
) -> dict[str, Any]:
    runtime, precision = entry["runtime"], entry["precision"]
    path = folder / entry["file"]
    logits = logits_of(RUNTIMES[runtime].load(path), split)
    np.save(golden / f"outputs_{entry['file']}.npy", logits[:_GOLDEN])
    found = parity.compare(logits, reference.logits, reference.step, task.agreement)
    score = task.quality(logits, split.labels)
    apart = abs(score - reference.quality)
    missed = parity.misses(found, apart, runtime, precision, asked)
    row = {"runtime": runtime, "precision": precision, "file": entry["file"], "quality": score,
           **task.further(logits, split.labels),
           **dataclasses.asdict(found), "missed": missed, "first_drift": None}  # fmt: skip
    if missed:
        row |= _explain(path, entry, reference, split, asked, task)
    # The file is what ships: a kernel of this machine that strays is said, and no fault of it.
    ok = not missed or row["cause"] == _KERNELS
    if runtime == "litert" and precision == "int8":
        row["layers"] = _layers(path, reference, split, asked)
        off = [each["layer"] for each in row["layers"] if each["max_steps"] > 1]
        if off:
            missed.append(f"layers more than a step off when given the graph's integers: {off}")
            row["first_drift"], ok = off[0], False
    return {**row, "ok": ok}


def _explain(
    path: Path,
    entry: dict[str, Any],
    reference: _Reference,
    split: Split,
    asked: VerifyConfig,
    task: Task,
) -> dict[str, Any]:
    """Whether the file or this machine's kernels miss a tolerance, and where it begins."""
    runtime, precision = entry["runtime"], entry["precision"]
    first = min(_PLAIN, len(split))
    labels = split.labels[:first]
    plain_kernels = RUNTIMES[runtime].load(path, optimize=False)
    # Plain kernels keep what every layer gave: a few images at a time.
    parts = np.array_split(np.arange(first), -(-first // _AT_ONCE))
    logits = np.concatenate([plain_kernels(split.pixels(ids)) for ids in parts])
    expected = reference.logits[:first]
    plain = parity.compare(logits, expected, reference.step, task.agreement)
    apart = abs(task.quality(logits, labels) - task.quality(expected, labels))
    kept = not parity.misses(plain, apart, runtime, precision, asked)
    told = {"plain_kernels": {**dataclasses.asdict(plain), "images": first},
            "cause": _KERNELS if kept else "the file"}  # fmt: skip
    if precision != "int8":
        return told
    pixels = split.pixels(np.arange(min(asked.layer_samples, first)))
    # Where the file is at fault, kernels that stray as well would hide where that begins.
    traced = RUNTIMES[runtime].trace(path, pixels, reference.layers, optimize=kept)
    drift = parity.drift(traced, programs.record(reference.program, pixels), reference.layers)
    return {**told, "drift": drift, "first_drift": parity.first_drift(drift, asked.within_step)}


def _layers(
    path: Path, reference: _Reference, split: Split, asked: VerifyConfig
) -> list[dict[str, Any]]:
    from edgedistill.runtimes.tflite_layers import compare_layers

    pixels = split.pixels(np.arange(min(asked.layer_samples, len(split))))
    recorded = programs.record(reference.program, pixels)
    return compare_layers(path, reference.layers, recorded)


def _words(row: dict[str, Any]) -> list[str]:
    place = f"; first drifts at {row['first_drift']}" if row["first_drift"] else ""
    cause = f"; it is {row['cause']}" if "cause" in row else ""
    return [f"misses a tolerance: {text}{cause}{place}" for text in row["missed"]]
