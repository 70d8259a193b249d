"""Hold every file against the torch graph it was made from, on the whole test set.

This is where the test set is opened, once: the quality of the models before it is taken here too.
Every int8 file is also held against the graph layer by layer; `runtimes.verdict` says what follows
where a file strays.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgedistill import program_file
from edgedistill.artifact import Artifact, JsonObject
from edgedistill.compress.steps import steps_of
from edgedistill.data import Split, open_split
from edgedistill.devices import machine
from edgedistill.distill.labelling import plain_answers
from edgedistill.models import inputs_of
from edgedistill.models import load as load_model
from edgedistill.predict import logits_of, task_of, torch_predictor
from edgedistill.program import MAIN, Program, graph_of
from edgedistill.progress import Asked
from edgedistill.recipe import Teacher, VerifyConfig
from edgedistill.records import (
    DataRecord,
    ExportRecord,
    FileEntry,
    LayerParity,
    Parity,
    ProgramRow,
    VerifyRecord,
    VerifyRow,
)
from edgedistill.runtimes import RUNTIMES, parity, sequences
from edgedistill.runtimes.layers import Given, compare_alone, given_of
from edgedistill.runtimes.misses import warnings_of
from edgedistill.runtimes.program import fold_weights, made_once
from edgedistill.runtimes.verdict import KERNELS, Evidence, cause, words
from edgedistill.signature import image_size
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks import Task

if TYPE_CHECKING:
    from edgedistill.runtimes import Floats

_GOLDEN = 8
_PLAIN, _AT_ONCE = 512, 32
"""Images for plain kernels, which may be a hundred times slower, and how many of them at once."""


class Config(Frozen):
    """What the verdicts depend on."""

    verify: VerifyConfig
    models: tuple[str, ...]
    """Steps whose models' quality is taken too."""
    teacher: Teacher | None
    """One that is no torch model, and is asked for the test images too."""
    fingerprint: str
    processor: str
    """Digest of this processor's instructions: another has other kernels."""


@dataclasses.dataclass(frozen=True)
class _Reference:
    """The torch graph of one kind, what it answers on the test set, and its output's scale."""

    program: Program
    logits: Floats
    quality: float
    given: Given

    @property
    def step(self) -> float | None:
        """The scale of the logits; None where they are float."""
        return self.given.steps[self.program.signature.answer]


@dataclasses.dataclass(frozen=True)
class _Answers:
    """What a file answers on the test set by the kernels that its runtime takes by itself."""

    entry: FileEntry
    path: Path
    logits: Floats
    found: Parity
    quality: float
    missed: tuple[str, ...]

    @property
    def kind(self) -> str:
        return "int8" if self.entry.precision == "int8" else "float"


@dataclasses.dataclass(frozen=True)
class _Test:
    """The test set, and what is asked of files on it."""

    split: Split
    task: Task
    wanted: VerifyConfig
    context: Context

    def compare(self, outputs: Floats, reference: Floats, step: float | None) -> Parity:
        return parity.compare(outputs, reference, step, self.task.agreement)

    def misses(self, found: Parity, apart: float, entry: FileEntry) -> tuple[str, ...]:
        told = parity.misses(found, apart, entry.runtime, entry.precision, self.wanted)
        return tuple(told)


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `verify.json`, a verdict on each file, golden inputs and outputs in `golden`, and all
    answers to the test set in `logits.npz`."""
    begin = time.monotonic()
    split = open_split(inputs["data"].path, "test")
    test = _Test(split, task_of(inputs), config.verify, context)
    written = ExportRecord.read(inputs["export"])
    exported = written.main
    models = [name for name in config.models if inputs[name].file("model").exists()]
    kinds = [kind for kind in ("float", "int8")
             if program_file.names(inputs["quantize"].path, kind)]  # fmt: skip
    asked = Asked(
        context.reporter, "verify", (len(models) + len(kinds) + len(exported)) * len(split)
    )
    answers: dict[str, Floats] = {}
    for name in models:
        folder = inputs[name].path / "model"
        seen = open_split(inputs["data"].path, "test", image_size(inputs_of(folder)))
        answers[name] = logits_of(asked.of(torch_predictor(load_model(folder)), name), seen)
    teacher = _teacher(config, inputs, context)
    if teacher is not None:
        answers["teacher"] = teacher
    references = {
        kind: _reference(program_file.place(inputs["quantize"].path, MAIN, kind), kind, test, asked)
        for kind in kinds
    }
    answers |= {kind: each.logits for kind, each in references.items()}
    scores = {name: test.task.quality(each, split.labels) for name, each in answers.items()}
    files = [_answers(entry, inputs["export"], references, test, asked) for entry in exported]
    rows = tuple(_row(each, references[each.kind], files, test) for each in files)
    _write_golden(context.scratch / "golden", files, rows, split)
    np.savez(context.scratch / "logits.npz", **cast(Any, answers))
    programs = tuple(_over_a_sequence(entry, inputs, test) for entry in written.others)
    ok = all(row.ok for row in rows) and all(row.ok for row in programs)
    VerifyRecord(ok, rows, scores, len(split), programs).write(context.scratch)
    return {"ok": ok, "test_quality": scores, "warnings": warnings_of(rows, programs),
            "seconds": time.monotonic() - begin}  # fmt: skip


def _teacher(config: Config, inputs: dict[str, Artifact], context: Context) -> Floats | None:
    """The answers of a teacher that is no torch model; None where they are not to be had."""
    if config.teacher is None:
        return None
    data = DataRecord.read(inputs["data"])
    teacher_context = context.teacher_context(config.teacher, inputs["teacher"].path, data)
    return plain_answers(
        config.teacher,
        config.fingerprint,
        teacher_context,
        inputs["data"],
        "test",
        context.checkpoints,
        context.reporter,
    )


def _reference(path: Path, kind: str, test: _Test, asked: Asked) -> _Reference:
    program = program_file.load(path)
    predict = torch_predictor(graph_of(program))
    logits = logits_of(asked.of(predict, f"the torch graph, {kind}"), test.split)
    folded = made_once(program, "folded", lambda: fold_weights(program))
    few = min(test.wanted.layer_samples, len(test.split))
    given = given_of(folded, *test.split.inputs(np.arange(few)).values())
    return _Reference(folded, logits, test.task.quality(logits, test.split.labels), given)


def _answers(
    entry: FileEntry,
    export: Artifact,
    references: dict[str, _Reference],
    test: _Test,
    asked: Asked,
) -> _Answers:
    reference = references["int8" if entry.precision == "int8" else "float"]
    path = export.file("files") / entry.file
    loaded = RUNTIMES[entry.runtime].load(path, threads=machine()["cores"])
    logits = logits_of(asked.of(loaded, entry.file), test.split)
    found = test.compare(logits, reference.logits, reference.step)
    quality = test.task.quality(logits, test.split.labels)
    missed = test.misses(found, abs(quality - reference.quality), entry)
    return _Answers(entry, path, logits, found, quality, missed)


def _write_golden(
    folder: Path, files: list[_Answers], rows: tuple[VerifyRow, ...], split: Split
) -> None:
    """The first images, and what each file says of them where its kernels are right."""
    folder.mkdir(exist_ok=True)
    inputs = split.inputs(np.arange(min(_GOLDEN, len(split))))
    for name, values in inputs.items():
        np.save(folder / ("inputs.npy" if len(inputs) == 1 else f"inputs_{name}.npy"), values)
    for file, row in zip(files, rows, strict=True):
        outputs = file.logits[:_GOLDEN]
        if row.cause == KERNELS:
            outputs = RUNTIMES[file.entry.runtime].load(file.path, optimize=False)(*inputs.values())
        np.save(folder / f"outputs_{file.entry.file}.npy", outputs)


def _row(file: _Answers, reference: _Reference, files: list[_Answers], test: _Test) -> VerifyRow:
    """What a file answers, and whether that is right."""
    evidence = Evidence(file.missed, file.found)
    if file.kind == "int8" and RUNTIMES[file.entry.runtime].in_layers:
        evidence = _alone(evidence, file, reference.given, test)
    if file.missed:
        evidence = _plainly(evidence, file, reference, files, test)
    because = cause(evidence)
    strays = (evidence.wrong or evidence.strays_here) if because else []
    missed = file.missed
    if because == "the file" and not missed:
        missed = (f"layer `{evidence.wrong[0].layer}` alone is not the graph's",)
    return VerifyRow(
        **vars(file.found),
        runtime=file.entry.runtime,
        precision=file.entry.precision,
        file=file.entry.file,
        quality=file.quality,
        further=test.task.further(file.logits, test.split.labels),
        missed=missed,
        cause=because,
        verdict=words(evidence),
        first_diverging=strays[0].layer if strays else None,
        plain_kernels=evidence.plain,
        layers=evidence.alone_plain or evidence.alone,
        ok=because != "the file",
    )


def _alone(evidence: Evidence, file: _Answers, given: Given, test: _Test) -> Evidence:
    """With an int8 file's layers, each given the graph's integers; by the plainest kernels too
    where the usual ones stray."""
    runtime, name = file.entry.runtime, file.entry.file
    test.context.reporter.tick(f"verify {name}", 0, 2, "layer by layer")
    alone = tuple(compare_alone(runtime, file.path, given, optimize=True))
    plain: tuple[LayerParity, ...] = ()
    if any(each.strays for each in alone):
        test.context.reporter.tick(f"verify {name}", 1, 2, "layer by layer, plainest kernels")
        plain = tuple(compare_alone(runtime, file.path, given, optimize=False))
    return dataclasses.replace(evidence, alone=alone, alone_plain=plain)


def _plainly(
    evidence: Evidence, file: _Answers, reference: _Reference, files: list[_Answers], test: _Test
) -> Evidence:
    """With the file by its runtime's plainest kernels, on the first images, and what others
    answer."""
    count, step = min(_PLAIN, len(test.split)), reference.step
    expected, usual = reference.logits[:count], file.logits[:count]
    asked = Asked(test.context.reporter, f"verify {file.entry.file} again", count)
    loaded = RUNTIMES[file.entry.runtime].load(file.path, optimize=False)
    plain_kernels = asked.of(loaded, "plainest kernels")
    # Plain kernels keep what every layer gave: a few images at a time.
    parts = np.array_split(np.arange(count), -(-count // _AT_ONCE))
    plain = np.concatenate([plain_kernels(*test.split.inputs(ids).values()) for ids in parts])
    precision = file.entry.precision
    found = test.compare(usual, expected, step), test.compare(plain, expected, step)
    return dataclasses.replace(
        evidence,
        usual=found[0],
        plain=found[1],
        images=count,
        between=test.compare(usual, plain, step),
        strays=(
            parity.strays(found[0], precision, test.wanted),
            parity.strays(found[1], precision, test.wanted),
        ),
        others=tuple(
            (each.entry.runtime, test.compare(each.logits[:count], expected, step))
            for each in files
            if each is not file and each.entry.precision == precision
        ),
    )


def _over_a_sequence(entry: FileEntry, inputs: dict[str, Artifact], test: _Test) -> ProgramRow:
    """A program that is not `main`, on test data one sample behind the other, its state kept."""
    kind = "int8" if entry.precision == "int8" else "float"
    program = program_file.load(program_file.place(inputs["quantize"].path, entry.program, kind))
    test.context.reporter.tick(f"verify {entry.file}", 0, 1, f"program `{entry.program}`")
    steps = steps_of(program, entry.program, test.split)
    path = inputs["export"].file("files") / entry.file
    golden = test.context.scratch / "golden" / entry.program
    return sequences.judge(entry, path, program, steps, golden, test.wanted)
