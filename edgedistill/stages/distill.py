"""Train the student from the teacher and the labels, alone or together with peers."""

from __future__ import annotations

from functools import partial

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.models import build, origin, save
from edgedistill.models import describe as describe_model
from edgedistill.predict import state_of_model, task_of
from edgedistill.recipe import Changes, DistillConfig, Model
from edgedistill.records import DataRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.train import train
from edgedistill.training_inputs import open_training_inputs


class Config(Frozen):
    """What the student depends on."""

    model: Model
    fingerprint: str
    peers: tuple[str, ...]
    """Fingerprints of those that train along."""
    train: DistillConfig
    augment: Changes
    workers: int | None


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the student as `model`: of several that train together, the best on validation."""
    import torch

    from edgedistill.distill.new_head import fit_new_head
    from edgedistill.distill.objective import Cohort

    data = DataRecord.read(inputs["data"])
    shape = len(data.classes), data.inputs
    settings = config.train
    training_inputs = open_training_inputs(
        inputs, settings.learned_from, config.augment, context.seed, config.workers
    )
    tick, task = partial(context.reporter.tick, "distill"), task_of(inputs)
    kinds = [config.model, *settings.peers]
    models, objectives = [], []
    for number, kind in enumerate(kinds):
        torch.manual_seed(context.seed + number)
        models.append(build(kind, *shape))
        fit_new_head(models[-1], inputs["data"].path, shape[1], task, context.seed, tick)
        losses = settings.peer_losses if number and settings.peer_losses else settings.losses
        objectives.append(training_inputs.objective(models[-1], losses, settings.precision))
    trained = train(
        Cohort(objectives) if settings.peers else objectives[0], training_inputs, settings,
        checkpoint=context.checkpoints / "training.safetensors",
        tick=tick,
        deterministic=context.deterministic,
    )  # fmt: skip
    for objective in objectives:
        objective.close()
    states = [state_of_model(model, inputs["data"], task) for model in models]
    # A peer of another shape is not what the recipe wants to ship, however good it is.
    alike = [number for number, kind in enumerate(kinds) if kind == config.model]
    best = max(alike, key=lambda number: states[number].validation_quality)
    peers: JsonObject = {}
    if settings.peers:
        peers = {
            "peers": [state.validation_quality for state in states],
            "exported_peer": best,
        }
    save(models[best], context.scratch / "model", describe_model(config.model, *shape))
    return {
        **trained,
        "notes": list(origin(models[best]).notes),
        **peers,
        **context.told("distill", states[best]),
    }
