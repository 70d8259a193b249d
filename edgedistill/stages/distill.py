"""Train the student from the teacher's stored answers and the labels."""

from __future__ import annotations

from typing import Any

from edgedistill.artifact import Artifact
from edgedistill.models import build, save
from edgedistill.models import describe as describe_model
from edgedistill.recipe import Augment, DistillConfig, Model
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks.classification import state_of_model
from edgedistill.train import open_lesson, train


class Config(Frozen):
    model: Model
    fingerprint: str
    train: DistillConfig
    augment: Augment
    workers: int | None


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> dict[str, Any]:
    import torch

    data = inputs["data"].json("data.json")
    shape = len(data["classes"]), data["channels"], data["image_size"]
    torch.manual_seed(context.seed)
    student = build(config.model, *shape)
    lesson = open_lesson(inputs, config.train.losses, config.augment, context.seed, config.workers)
    metrics = train(
        student, lesson, config.train, checkpoint=context.checkpoints / "training.safetensors",
        tick=lambda done, total, note: context.reporter.tick("distill", done, total, note),
        deterministic=context.deterministic,
    )  # fmt: skip
    save(student, context.scratch / "model", describe_model(config.model, *shape))
    return {**metrics, **state_of_model(student, inputs["data"].path, data)}
