"""Ask of the student what its accuracy does not tell: whom it fails, what it copied, how sure it
is, what it does with bad samples, and when it should pass a request on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data import Split, open_split
from edgedistill.data.no_class import Size, samples_of_no_class
from edgedistill.data.slices import read_slices, sample_names, speaker_slices
from edgedistill.data.worse import kinds, made_worse, some
from edgedistill.devices import machine
from edgedistill.distill.embeddings import embeddings
from edgedistill.distill.labelling import plain_answers
from edgedistill.distill.teachers import identity
from edgedistill.models import inputs_of, load
from edgedistill.predict import Predict, logits_of, torch_predictor
from edgedistill.progress import Asked
from edgedistill.recipe import AuditConfig, Teacher
from edgedistill.records import AuditRecord, DataRecord, ExportRecord, FileEntry, as_json
from edgedistill.records.audit import (
    Corruption,
    Coverage,
    OutOfDistribution,
    StepChange,
    StudentAudit,
)
from edgedistill.runtimes import RUNTIMES, features
from edgedistill.signature import image_size
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks import audit as figures
from edgedistill.tasks import calibration, drift, routing
from edgedistill.tasks.classification import accuracy
from edgedistill.tasks.promised import promised

if TYPE_CHECKING:
    from edgedistill.runtimes import Floats


_SMALLEST = ("int8", "fp16", "fp32")
_EMBEDDED = 10_000
"""Samples of either split whose nearest neighbours are looked for."""


class Config(Frozen):
    """What the audit depends on."""

    audit: AuditConfig
    models: tuple[str, ...]
    """Steps that leave models, from the teacher to the one that ships."""
    teacher: Teacher
    fingerprint: str
    out_of_distribution: str
    """Digest of what lies there."""
    slices: str
    """Digest of that file."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `audit.json`, see `AuditRecord`."""
    begin = time.monotonic()
    data = DataRecord.read(inputs["data"])
    test, held_out = (open_split(inputs["data"].path, name) for name in ("test", "validation"))
    sizes = _sizes(config, inputs, data)
    tests = {size: open_split(inputs["data"].path, "test", size) for size in sizes.values()}
    others, notes = samples_of_no_class(config.audit, data, tuple(tests), context.seed)
    for text in notes:
        context.reporter.say(f"audit: {text}")
    asked = _asked_in_all(config, inputs, test, len(held_out), len(others[None]))
    models = _open(config, inputs, test, sizes, Asked(context.reporter, "audit", asked))
    own = logits_of(models.shipped, held_out)
    temperature = calibration.fit_temperature(own, held_out.labels)
    known = _teacher_on_validation(config, inputs, data, context)
    record = AuditRecord(
        file=models.file,
        images=len(test),
        order=("teacher", *models.students),
        students=_students(config.audit, inputs["data"], models, test),
        drops=_drops(models, test),
        corruptions=_corruptions(config.audit, models, tests, context),
        out_of_distribution=_detected(config.audit, models, tests, others, data.keywords),
        coverage=_coverage(inputs, context.seed),
        temperature=temperature,
        routing=None
        if models.teacher is None or known is None
        else routing.audited(
            routing.Pair(own, known, held_out.labels),
            routing.Pair(models.students["shipped"], models.teacher, test.labels),
            temperature,
            config.audit.routing_drop,
        ),
        reference=as_json(drift.describe(own, _features(inputs["export"], held_out))),
    )
    record.write(context.scratch)
    return {**promised(record), "warnings": list(notes), "seconds": time.monotonic() - begin}


@dataclass(frozen=True)
class _Models:
    """The models of a compile, and their answers to the test images."""

    file: str
    """The one that ships."""
    predictors: dict[str, Predict]
    """Torch models by step, and `shipped`."""
    sizes: dict[str, Size]
    """In which each of them sees images."""
    students: dict[str, Floats]
    """Logits (samples, classes) by model, in the order in which they were made."""
    teacher: Floats | None

    @property
    def shipped(self) -> Predict:
        return self.predictors["shipped"]


def _open(
    config: Config,
    inputs: dict[str, Artifact],
    test: Split,
    sizes: dict[str, Size],
    asked: Asked,
) -> _Models:
    with np.load(inputs["verify"].file("logits.npz")) as kept:
        stored = {name: kept[name] for name in kept.files}
    file, loaded = _shipped(inputs["export"])
    torch_models = {
        name: asked.of(each, name) for name, each in _predictors(config, inputs).items()
    }
    predictors = {**torch_models, "shipped": asked.of(loaded, file)}
    students = {name: stored[name] for name in config.models[1:] if name in stored}
    students["shipped"] = logits_of(predictors["shipped"], test)
    if "control" in inputs:
        control = torch_predictor(load(inputs["control"].file("model")))
        students["control"] = logits_of(asked.of(control, "control"), test)
    return _Models(file, predictors, sizes, students, stored.get("teacher"))


def _students(
    asked: AuditConfig, data: Artifact, models: _Models, test: Split
) -> dict[str, StudentAudit]:
    """Each student by class and beside the teacher."""
    described = DataRecord.read(data)
    classes = described.classes
    counts = [described.class_counts["train"][name] for name in classes]
    slices = speaker_slices(data)
    if asked.slices:
        slices |= read_slices(asked.slices, sample_names(data))
    return {
        name: figures.audit(logits, models.teacher, test.labels, classes, counts, slices)
        for name, logits in models.students.items()
    }


def _drops(models: _Models, test: Split) -> tuple[StepChange, ...]:
    """What each step of the compile lost against the one before."""
    compiled = {name: each for name, each in models.students.items() if name != "control"}
    return figures.drops(compiled, test.labels)


def _teacher_on_validation(
    config: Config, inputs: dict[str, Artifact], data: DataRecord, context: Context
) -> Floats | None:
    """The teacher's logits; None where it does not know all of the samples."""
    return plain_answers(
        config.teacher,
        identity(config.teacher, config.fingerprint, inputs["teacher"]),
        context.teacher_context(config.teacher, inputs["teacher"].path, data),
        inputs["data"],
        "validation",
        context.checkpoints,
        context.reporter,
    )


def _shipped(export: Artifact) -> tuple[str, Predict]:
    """The file that is held against the contract: the primary runtime's, as small as it comes."""
    entry = _entry(ExportRecord.read(export).main)
    path = export.file("files") / entry.file
    return entry.file, RUNTIMES[entry.runtime].load(path, threads=machine()["cores"])


def _entry(files: Sequence[FileEntry]) -> FileEntry:
    own = [entry for entry in files if entry.runtime == files[0].runtime]
    return min(own, key=lambda each: _SMALLEST.index(each.precision))


def _features(export: Artifact, split: Split) -> Floats | None:
    """What the file that ships sees before it decides, (samples, dimensions)."""
    files = ExportRecord.read(export).main
    seen = features.load(export.file("files") / _entry(files).file, files[0].runtime)
    return None if seen is None else logits_of(lambda given: seen(given)[1], split)


def _predictors(config: Config, inputs: dict[str, Artifact]) -> dict[str, Predict]:
    return {
        name: torch_predictor(load(inputs[name].file("model")))
        for name in config.models
        if inputs[name].file("model").exists()
    }


def _sizes(config: Config, inputs: dict[str, Artifact], data: DataRecord) -> dict[str, Size]:
    """In which size each of the predictors sees images."""
    seen = {
        name: image_size(inputs_of(inputs[name].file("model")))
        for name in config.models
        if inputs[name].file("model").exists()
    }
    own = {
        name: None if data.inputs_at(size) == data.inputs else size for name, size in seen.items()
    }
    return {**own, "shipped": None}


def _asked_in_all(
    config: Config,
    inputs: dict[str, Artifact],
    test: Split,
    held_out: int,
    out_of_distribution: int,
) -> int:
    """How many samples all models are asked about together."""
    models = 1 + sum(inputs[name].file("model").exists() for name in config.models)
    worse = min(config.audit.corruption_samples, len(test)) * (1 + 3 * len(kinds(test)))
    once = len(test) * (1 + ("control" in inputs)) + held_out
    return models * (worse + len(test) + out_of_distribution) + once


def _corruptions(
    asked: AuditConfig, models: _Models, tests: Mapping[Size, Split], context: Context
) -> tuple[Corruption, ...]:
    """The first of the samples as they are."""
    if not asked.corruption_samples:
        return ()
    test = tests[None]
    count = min(asked.corruption_samples, len(test))
    ids = np.sort(np.random.default_rng([context.seed, 3]).permutation(len(test))[:count])
    labels = test.labels[ids]

    def row(kind: str, strength: int, splits: Mapping[Size, Split]) -> Corruption:
        scores = {name: accuracy(logits_of(each, splits[models.sizes[name]]), labels)
                  for name, each in models.predictors.items()}  # fmt: skip
        return Corruption(kind, strength, scores)

    rows = [row("none", 0, {size: some(each, ids) for size, each in tests.items()})]
    for kind in kinds(test):
        for strength in (1, 2, 3):
            worse = {size: made_worse(each, ids, kind, strength, context.seed)
                     for size, each in tests.items()}  # fmt: skip
            rows.append(row(kind, strength, worse))
    return tuple(rows)


def _detected(
    asked: AuditConfig,
    models: _Models,
    tests: Mapping[Size, Split],
    others: Mapping[Size, Split],
    keywords: Sequence[int],
) -> OutOfDistribution:
    """How well each model's confidence tells the test samples from those of no class; keywords:
    the classes that are meant, where others stand for whatever else there is."""
    found = {}
    inside = np.isin(tests[None].labels, keywords) if keywords else slice(None)
    for name, each in models.predictors.items():
        size = models.sizes[name]
        own, theirs = logits_of(each, tests[size]), logits_of(each, others[size])
        found[name] = figures.ood(own[inside], theirs, keywords)
    count = len(others[None])
    return OutOfDistribution("noise" if asked.out_of_distribution is None else count, found)


def _coverage(inputs: dict[str, Artifact], seed: int) -> Coverage | None:
    """The share of the test samples that have nothing like them in train, as the student sees; None
    where it has no linear layer, whose input would be the embedding."""
    import torch

    from edgedistill.distill.feature_hooks import last_layer

    student = load(inputs["distill"].file("model"))
    first = open_split(inputs["data"].path, "train").inputs(np.arange(1))
    if last_layer(student, tuple(map(torch.from_numpy, first.values()))) is None:
        return None
    parts = []
    for name in ("train", "test"):
        split = open_split(inputs["data"].path, name)
        chosen = np.random.default_rng([seed, 5]).permutation(len(split))[:_EMBEDDED]
        parts.append(embeddings(student, split, np.sort(chosen)))
    train, test = parts
    return figures.coverage(train, test)
