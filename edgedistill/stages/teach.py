"""Ask the teacher once for every training image in every view, and keep its answers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact
from edgedistill.data import open_split
from edgedistill.data.augment import view
from edgedistill.distill.store import fill, open_answers
from edgedistill.models import load
from edgedistill.recipe import Augment
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks.classification import accuracy, torch_predictor


class Config(Frozen):
    views: int
    batch_size: int
    precision: Literal["fp32", "bf16"]
    augment: Augment


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> dict[str, Any]:
    split = open_split(inputs["data"].path, "train")
    classes = len(inputs["data"].json("data.json")["classes"])
    predict = torch_predictor(load(inputs["teacher"].path / "model"), config.precision)

    def answer(ids: NDArray[np.int64], number: int) -> NDArray[np.float32]:
        images = np.asarray(split.images[ids])
        return predict(view(images, ids, context.seed, number, config.augment))

    def tick(done: float, total: float, seconds: float) -> None:
        speed = done * config.batch_size / seconds
        context.reporter.tick("teacher's answers", done, total, f"{speed:.0f} images/s")

    seconds = fill(
        context.scratch, context.checkpoints / "answered.json",
        (config.views, len(split), classes), config.batch_size, answer, tick,
    )  # fmt: skip
    logits = open_answers(context.scratch).logits
    return {
        "answers": config.views * len(split),
        "training_accuracy": [accuracy(each, split.labels) for each in logits],
        "seconds": seconds,
        "images_per_second": config.views * len(split) / seconds,
    }
