"""Ask of the student what its accuracy does not tell: whom it fails, what it copied, how sure it
is, what it does with bad images, and when it should pass a request on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.artifact import Artifact, write_json
from edgedistill.data import Split, open_split, read_unlabelled
from edgedistill.data.image.corrupt import KINDS, corrupt
from edgedistill.data.image.decode import Form
from edgedistill.data.slices import read_slices, sample_names
from edgedistill.devices import machine
from edgedistill.distill.labelling import plain_answers
from edgedistill.distill.teachers import identity
from edgedistill.models import load
from edgedistill.predict import Predict, logits_of, torch_predictor
from edgedistill.progress import Asked
from edgedistill.recipe import AuditConfig, Teacher
from edgedistill.records import DataRecord, ExportRecord, FileEntry
from edgedistill.runtimes import RUNTIMES, features
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks import calibration, drift, judgement, routing
from edgedistill.tasks.classification import accuracy

if TYPE_CHECKING:
    from torch import nn

    from edgedistill.runtimes import Floats

_SMALLEST = ("int8", "fp16", "fp32")
_EMBEDDED = 10_000
"""Images of either split whose nearest neighbours are looked for."""
_NOISE = 500


class Config(Frozen):
    audit: AuditConfig
    models: tuple[str, ...]
    """Steps that leave models, from the teacher to the one that ships."""
    teacher: Teacher
    fingerprint: str
    out_of_distribution: str
    """Digest of that folder's listing."""
    slices: str
    """Digest of that file."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> dict[str, Any]:
    begin = time.monotonic()
    data = DataRecord.read(inputs["data"])
    test = open_split(inputs["data"].path, "test")
    held_out = open_split(inputs["data"].path, "validation")
    with np.load(inputs["verify"].file("logits.npz")) as kept:
        stored = {name: kept[name] for name in kept.files}
    out_of_distribution, notes = _strangers(config.audit, data, context.seed)
    for text in notes:
        context.reporter.say(f"audit: {text}")
    images = _asked_in_all(config, inputs, len(test), len(held_out), len(out_of_distribution))
    asked = Asked(context.reporter, "audit", images)
    file, own_file = _shipped(inputs["export"])
    shipped = asked.of(own_file, file)
    teacher = stored.get("teacher")
    students = {name: stored[name] for name in config.models[1:] if name in stored}
    students["shipped"] = logits_of(shipped, test)
    if "control" in inputs:
        students["control"] = logits_of(asked.of(_control(inputs), "control"), test)
    found: dict[str, Any] = {
        "file": file,
        "images": len(test),
        "order": ["teacher", *students],
        **_judged(config.audit, inputs["data"], students, teacher, test),
    }
    predictors = {
        name: asked.of(each, name) for name, each in _predictors(config, inputs).items()
    } | {"shipped": shipped}
    found["corruptions"] = _corruptions(config.audit, predictors, test, context)
    noise = config.audit.out_of_distribution is None
    found["out_of_distribution"] = {
        "images": "noise" if noise else len(out_of_distribution),
        "models": _unknown(predictors, test, out_of_distribution),
    }
    found["coverage"] = _coverage(inputs, context.seed)
    teacher_context = context.teacher_context(inputs["teacher"].path, data)
    known = plain_answers(
        config.teacher,
        identity(config.teacher, config.fingerprint, inputs["teacher"]),
        teacher_context,
        inputs["data"],
        "validation",
        context.checkpoints,
        context.reporter,
    )
    own = logits_of(shipped, held_out)
    found["temperature"] = calibration.fit_temperature(own, held_out.labels)
    found["routing"] = None
    if teacher is not None and known is not None:
        found["routing"] = _routing(
            config.audit, found["temperature"], (own, known, held_out.labels),
            (students["shipped"], teacher, test.labels),
        )  # fmt: skip
    found["reference"] = drift.describe(own, _features(inputs["export"], held_out))
    write_json(context.scratch / "audit.json", found)
    return {**_figures(found), "warnings": list(notes), "seconds": time.monotonic() - begin}


def _judged(
    asked: AuditConfig,
    data: Artifact,
    students: dict[str, Floats],
    teacher: Floats | None,
    test: Split,
) -> dict[str, Any]:
    """Each student by class and beside the teacher, and what each step lost of the one before."""
    described = DataRecord.read(data)
    classes = described.classes
    counts = [described.class_counts["train"][name] for name in classes]
    slices = read_slices(asked.slices, sample_names(data)) if asked.slices else {}
    compiled = {name: each for name, each in students.items() if name != "control"}
    return {
        "students": {
            name: judgement.audit(logits, teacher, test.labels, classes, counts, slices)
            for name, logits in students.items()
        },
        "drops": [
            {key: value for key, value in row.items() if not key.startswith("became")}
            | {key: len(row[key]) for key in ("became_wrong", "became_right")}
            for row in judgement.drops(compiled, test.labels)
        ],
    }


def _shipped(export: Artifact) -> tuple[str, Predict]:
    """The file that is held against the contract: the primary runtime's, as small as it comes."""
    entry = _entry(ExportRecord.read(export).files)
    path = export.file("files") / entry.file
    return entry.file, RUNTIMES[entry.runtime].load(path, threads=machine()["cores"])


def _entry(files: Sequence[FileEntry]) -> FileEntry:
    own = [entry for entry in files if entry.runtime == files[0].runtime]
    return min(own, key=lambda each: _SMALLEST.index(each.precision))


def _features(export: Artifact, split: Split) -> Floats | None:
    """What the file that ships sees before it decides, (samples, dimensions)."""
    files = ExportRecord.read(export).files
    seen = features.load(export.file("files") / _entry(files).file, files[0].runtime)
    return None if seen is None else logits_of(lambda pixels: seen(pixels)[1], split)


def _predictors(config: Config, inputs: dict[str, Artifact]) -> dict[str, Predict]:
    return {
        name: torch_predictor(load(inputs[name].file("model")))
        for name in config.models
        if inputs[name].file("model").exists()
    }


def _control(inputs: dict[str, Artifact]) -> Predict:
    return torch_predictor(load(inputs["control"].file("model")))


def _asked_in_all(
    config: Config, inputs: dict[str, Artifact], test: int, held_out: int, out_of_distribution: int
) -> int:
    """How many images all models are asked about together."""
    models = 1 + sum(inputs[name].file("model").exists() for name in config.models)
    worse = min(config.audit.corruption_samples, test) * (1 + 3 * len(KINDS))
    return (
        models * (worse + test + out_of_distribution)
        + test * (1 + ("control" in inputs))
        + held_out
    )


def _corruptions(
    asked: AuditConfig, predictors: Mapping[str, Predict], test: Split, context: Context
) -> list[dict[str, Any]]:
    """Rows {kind, strength, accuracy: of each model}, the first of the images as they are."""
    if not asked.corruption_samples:
        return []
    count = min(asked.corruption_samples, len(test))
    ids = np.sort(np.random.default_rng([context.seed, 3]).permutation(len(test))[:count])
    images, labels = np.asarray(test.images[ids]), test.labels[ids]

    def row(kind: str, strength: int, split: Split) -> dict[str, Any]:
        scores = {name: accuracy(logits_of(each, split), labels)
                  for name, each in predictors.items()}  # fmt: skip
        return {"kind": kind, "strength": strength, "accuracy": scores}

    rows = [row("none", 0, Split(images, labels))]
    for kind in KINDS:
        for strength in (1, 2, 3):
            worse = corrupt(images, kind, strength, context.seed, ids)
            rows.append(row(kind, strength, Split(worse, labels)))
    return rows


def _strangers(asked: AuditConfig, data: DataRecord, seed: int) -> tuple[Split, tuple[str, ...]]:
    """Images of no class, and what is not among them, in sentences."""
    form = Form(data.image_size, data.channels, data.resize)
    notes: tuple[str, ...] = ()
    if asked.out_of_distribution is None:
        random = np.random.default_rng([seed, 4])
        images = random.integers(0, 256, (_NOISE, *form.shape), np.uint8)
    else:
        read = read_unlabelled(asked.out_of_distribution, form)
        images, notes = read.images, read.notes
    return Split(images, np.zeros(len(images), np.int64)), notes


def _unknown(predictors: Mapping[str, Predict], test: Split, other: Split) -> dict[str, Any]:
    """How well each model's confidence tells the test images from images of no class."""
    return {
        name: judgement.ood(logits_of(each, test), logits_of(each, other))
        for name, each in predictors.items()
    }


def _coverage(inputs: dict[str, Artifact], seed: int) -> dict[str, Any] | None:
    """The share of the test images that have nothing like them in train, as the student sees; None
    where it has no linear layer, whose input would be the embedding."""
    import torch

    from edgedistill.distill.feature_hooks import last_layer

    student = load(inputs["distill"].file("model"))
    first = open_split(inputs["data"].path, "train").pixels(np.arange(1))
    if last_layer(student, torch.from_numpy(first)) is None:
        return None
    parts = []
    for name in ("train", "test"):
        split = open_split(inputs["data"].path, name)
        chosen = np.random.default_rng([seed, 5]).permutation(len(split))[:_EMBEDDED]
        parts.append(_embeddings(student, split, np.sort(chosen)))
    train, test = parts
    return judgement.coverage(train, test)


def _embeddings(model: nn.Module, split: Split, ids: Any) -> Floats:
    """What enters the layer that gives the answer, (samples, channels)."""
    import torch

    from edgedistill.distill.feature_hooks import FeatureHooks
    from edgedistill.losses.base import EMBEDDING

    feature_hooks = FeatureHooks().on(
        model, [EMBEDDING], "student", torch.from_numpy(split.pixels(ids[:1]))
    )
    predict: Callable[[Any], Any] = torch_predictor(model)
    rows = []
    for start in range(0, len(ids), 500):
        predict(split.pixels(ids[start : start + 500]))
        rows.append(feature_hooks.seen[EMBEDDING].float().numpy())
    feature_hooks.close()
    return np.concatenate(rows)


def _routing(
    asked: AuditConfig,
    temperature: float,
    chosen_on: tuple[Any, Any, Any],
    tried_on: tuple[Any, Any, Any],
) -> dict[str, Any]:
    """The threshold on the student's confidence, chosen on validation, and what it does on the
    test set; both curves."""

    def rows(student: Any, teacher: Any, labels: Any, points: int | None) -> list[dict[str, Any]]:
        sure = calibration.confidence(student, temperature)
        return routing.curve(
            sure, student.argmax(axis=1) == labels, teacher.argmax(axis=1) == labels, points
        )

    everything = rows(*chosen_on, None)
    wanted = everything[-1]["accuracy"] - asked.routing_drop
    choice = routing.choose(everything, wanted)
    exact = rows(*tried_on, None)
    reached = next(row for row in exact if row["threshold"] >= choice["threshold"])
    aim = exact[-1]["accuracy"] - asked.routing_drop
    return {
        "threshold": choice["threshold"],
        "temperature": temperature,
        "validation": {"wanted": wanted, **choice},
        "test": {"teacher": exact[-1]["accuracy"], "student": exact[0]["accuracy"], **reached},
        "share_for_teacher_less_drop": routing.choose(exact, aim)["share_routed"],
        "curve": rows(*tried_on, 101),
    }


def _figures(found: dict[str, Any]) -> dict[str, Any]:
    """What a contract may promise."""
    shipped = found["students"]["shipped"]
    rows = [row["accuracy"]["shipped"] for row in found["corruptions"]]
    agreed = shipped["agreement"] or {}
    return {
        "worst_class": shipped["worst"]["retention"],
        "worst_class_name": shipped["worst"]["class"],
        "calibration_error": shipped["student"]["ece"],
        "copied_errors": agreed.get("copied_error_share"),
        "robustness": float(np.mean(rows[1:]) / rows[0]) if rows and rows[0] else None,
    }
