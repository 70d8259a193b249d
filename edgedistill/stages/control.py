"""Train the student's shape from the labels alone: what would have been without a teacher."""

from __future__ import annotations

import json

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.models import fresh, save
from edgedistill.predict import state_of_model, task_of
from edgedistill.recipe import Changes, Labels, Training
from edgedistill.records import StageMetrics
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.train import train
from edgedistill.training_inputs import open_training_inputs


class Config(Frozen):
    """What the control depends on."""

    train: Training
    """As the student was distilled; for as many image-passes as it took to its final shape."""
    augment: Changes
    workers: int | None


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `model`, of the student's final shape, trained from labels alone."""
    import torch

    student = inputs.get("prune") or inputs["distill"]
    torch.manual_seed(context.seed)
    model = fresh(student.file("model"))
    losses = (Labels(kind="labels"),)
    training_inputs = open_training_inputs(
        inputs, losses, config.augment, context.seed, config.workers
    )
    # It begins with random weights, whose norms have nothing to keep.
    settings = config.train.model_copy(
        update={
            "epochs": _samples_seen(inputs) / len(training_inputs), "freeze_batch_norm": False,
        }
    )  # fmt: skip
    metrics = train(
        training_inputs.objective(model, losses, settings.precision), training_inputs, settings,
        checkpoint=context.checkpoints / "training.safetensors",
        tick=lambda done, total, note: context.reporter.tick("control", done, total, note),
        deterministic=context.deterministic,
    )  # fmt: skip
    description = json.loads((student.file("model") / "model.json").read_text())
    save(model, context.scratch / "model", description)
    state = state_of_model(model, inputs["data"], task_of(inputs))
    return {**metrics, **context.told("control", state)}


def _samples_seen(inputs: dict[str, Artifact]) -> float:
    """The image-passes of the student that ships: those of a pruning that was undone are none of
    its own."""
    trained = [inputs["distill"]]
    if "prune" in inputs and not StageMetrics.read(inputs["prune"]).undone:
        trained.append(inputs["prune"])
    return float(sum(StageMetrics.read(each).samples_seen for each in trained))
