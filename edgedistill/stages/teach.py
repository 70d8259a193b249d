"""Ask the teacher once for every training image in every view, and keep its answers."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data import View, open_split
from edgedistill.distill.labelling import ask, held_against, plain_answers
from edgedistill.distill.store import Layout, Store, keep, open_answers, opened
from edgedistill.distill.teachers import identity, open_teacher
from edgedistill.predict import task_of
from edgedistill.recipe import Changes, Teacher
from edgedistill.records import DataRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen


class Config(Frozen):
    """What the teacher's answers depend on."""

    teacher: Teacher
    fingerprint: str
    views: int
    batch_size: int
    precision: Literal["fp32", "bf16"]
    keep: Literal["full", "half", "top_k"]
    top_k: int
    augment: Changes


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the store of answers to the training data, and `validation.npy`, its answers to the
    validation data, where it gives any."""
    split = open_split(inputs["data"].path, "train", config.teacher.image_size)
    data = DataRecord.read(inputs["data"])
    classes = data.classes
    teacher_context = context.teacher_context(
        config.teacher, inputs["teacher"].path, data, config.precision
    )
    layout = Layout(len(classes), config.keep, min(config.top_k, len(classes)))
    teacher = identity(config.teacher, config.fingerprint, inputs["teacher"])
    made_by: JsonObject = {
        "teacher": teacher,
        "data": inputs["data"].digest, "split": "train", "seed": context.seed,
        "augment": config.augment.model_dump(), "precision": config.precision,
    }  # fmt: skip
    place = context.checkpoints / "store"

    def look(ids: NDArray[np.int64], number: int) -> dict[str, NDArray[np.float32]]:
        return split.inputs(ids, View(config.augment, context.seed, number))

    with opened(place, layout, config.views, len(split), made_by, context.reporter.say) as store:
        asked = ask(
            open_teacher(config.teacher, teacher_context), split, store, look, config.batch_size,
            lambda a, b, note: context.reporter.tick("teacher's answers", a, b, note),
        )  # fmt: skip
        keep(store, context.scratch)
    held_out = plain_answers(
        config.teacher, teacher, teacher_context, inputs["data"], "validation",
        context.checkpoints, context.reporter,
    )  # fmt: skip
    if held_out is not None:
        np.save(context.scratch / "validation.npy", held_out)
    answers = open_answers(context.scratch)
    everyone, task = np.arange(len(split)), task_of(inputs)

    def quality(number: int) -> float:
        outputs = answers(everyone, number)
        view = View(config.augment, context.seed, number)
        return task.quality(outputs, held_against(split, view, outputs, task.labels))

    return {
        "answers": asked.wanted,
        "training_quality": [quality(number) for number in range(config.views)],
        **_lost(store),
        "bytes": (context.scratch / "answers.npy").stat().st_size,
        "seconds": asked.seconds,
        "images_per_second": asked.now / max(asked.seconds, 1e-9),
    }


def _lost(store: Store) -> dict[str, float]:
    """What keeping less than all cost, over the answers of this run."""
    if not store.loss.answers:
        return {}
    return {
        "kept_divergence": store.loss.divergence / store.loss.answers,
        "kept_top1": 100.0 * store.loss.same / store.loss.answers,
    }
