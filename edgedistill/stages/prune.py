"""Take channels out of the student in rounds, and let it recover from the teacher after each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.compress.cost import Cost, measure_cost
from edgedistill.compress.prune import importance, prune
from edgedistill.models import load, save
from edgedistill.predict import state_of_model, task_of
from edgedistill.recipe import Changes, PruneConfig
from edgedistill.records import DataRecord, PruneRound, StageMetrics, as_json, read_record
from edgedistill.signature import blank
from edgedistill.stages import Context
from edgedistill.target import Frozen, Kernel
from edgedistill.train import train
from edgedistill.training_inputs import TrainingBatch, TrainingInputs, open_training_inputs

if TYPE_CHECKING:
    from torch import Tensor, nn


class Config(Frozen):
    """What the pruned student depends on."""

    prune: PruneConfig
    round_to: int
    kernel: Kernel | None
    """What a goal in padded MACs is counted by."""
    augment: Changes
    workers: int | None


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the student as `model`, pruned, or as it was where pruning cost too much."""
    data = DataRecord.read(inputs["data"])
    training_inputs = open_training_inputs(
        inputs, config.prune.losses, config.augment, context.seed, config.workers
    )
    (example,) = blank(data.inputs)
    original = inputs["distill"].path / "model"
    before = measure_cost(load(original), example, config.kernel)
    goals = _goals(config.prune, before)
    history: list[PruneRound] = []
    folder = original
    for number, goal in enumerate(goals):
        done = context.checkpoints / f"round{number}"
        if not (done / PruneRound.FILE).exists():
            _round(config, training_inputs, context, folder, goal, number, done, example)
        history.append(read_record(PruneRound, done / PruneRound.FILE))
        folder = done
    samples_seen = sum(each.samples_seen for each in history)
    seconds = sum(each.seconds for each in history)
    task = task_of(inputs)
    after = state_of_model(load(folder), inputs["data"], task)
    drop = _quality(inputs["distill"]) - after.validation_quality
    undone = drop > config.prune.max_drop
    if undone:
        context.reporter.say(
            f"prune: undone, it cost {drop:.2f} points of validation quality and "
            f"`stages.prune.max_drop` allows {config.prune.max_drop:g}"
        )
    result = state_of_model(load(original), inputs["data"], task) if undone else after
    shutil.copytree(
        original if undone else folder, context.scratch / "model", dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(PruneRound.FILE, "*.part"),
    )  # fmt: skip
    return {
        **context.told("prune", result),
        "undone": undone,
        "drop": drop,
        "rounds": [as_json(each) for each in history],
        "samples_seen": samples_seen,
        "seconds": seconds,
        "images_per_second": samples_seen / seconds,
    }


def _quality(distilled: Artifact) -> float:
    quality = StageMetrics.read(distilled).validation_quality
    assert quality is not None, "a distilled student has a quality"
    return quality


def rehearse(config: Config, student: nn.Module, example: Tensor) -> None:
    """Cut a student that has learned nothing yet as far as is asked, in place.

    Raises UserError: the goal cannot be reached, or the student cannot be pruned.
    """
    before = measure_cost(student, example, config.kernel)
    scores = importance("magnitude", student, [])
    prune(student, example, _goals(config.prune, before)[-1], scores, config.round_to,
          config.kernel)  # fmt: skip


def _round(
    config: Config,
    training_inputs: TrainingInputs,
    context: Context,
    folder: Any,
    goal: Cost,
    number: int,
    done: Any,
    example: Tensor,
) -> None:
    """Prune the model in `folder` to `goal`, train it, and leave it in `done`."""
    settings, last = config.prune, number == config.prune.rounds - 1
    model = load(folder)
    description = json.loads((folder / "model.json").read_text())
    steps = prune(
        model, example, goal,
        importance(settings.importance, model, _batch_losses(model, training_inputs, settings)),
        config.round_to, config.kernel, context.reporter.say,
    )  # fmt: skip
    description["pruning"] = [*(description["pruning"] or []), *steps]
    epochs = settings.epochs if last else settings.epochs_between
    objective = training_inputs.objective(model, settings.losses, settings.precision)
    metrics = train(
        objective, training_inputs, settings.model_copy(update={"epochs": epochs}),
        checkpoint=context.checkpoints / f"round{number}.safetensors",
        tick=lambda a, b, note: context.reporter.tick(
            f"prune, round {number + 1} of {settings.rounds}", a, b, note
        ),
        deterministic=context.deterministic,
    )  # fmt: skip
    objective.close()
    save(model, done, description)
    cost = measure_cost(model, example)
    PruneRound(**metrics, macs=cost.macs / 1e6, params=cost.params / 1e3).write(done)


def _goals(config: PruneConfig, before: Cost) -> list[Cost]:
    """Costs to reach after each round: equal ratios from today's to the wanted one."""
    wanted = {
        "macs": before.macs / (config.speedup or 1),
        "padded_macs": before.padded_macs,
        "params": before.params,
    }
    for name, unit in (("macs", 1e6), ("padded_macs", 1e6), ("params", 1e3)):
        if getattr(config, name) is not None:
            wanted[name] = min(wanted[name], getattr(config, name) * unit)

    def after(share: float) -> Cost:
        now = {name: getattr(before, name) for name in wanted}
        return Cost(**{k: now[k] * (wanted[k] / now[k]) ** share for k in wanted if now[k]})

    return [after((number + 1) / config.rounds) for number in range(config.rounds)]


def _batch_losses(
    model: nn.Module, training_inputs: TrainingInputs, config: PruneConfig
) -> Iterator[Callable[[], Tensor]]:
    """The training loss on `importance_samples` images, a batch at a time."""
    import torch

    objective = training_inputs.objective(model, config.losses)
    objective.eval()
    samples = min(config.importance_samples, len(training_inputs.split))
    chosen = np.random.default_rng([training_inputs.seed, 1]).permutation(
        len(training_inputs.split)
    )[:samples]
    size = min(config.batch_size, samples)
    for start in range(0, samples - size + 1, size):
        ids = np.sort(chosen[start : start + size])
        (batch,) = training_inputs.batches([ids], 0, torch.device("cpu"))

        def loss(batch: TrainingBatch = batch) -> Tensor:
            return training_inputs.loss(objective, batch, 0)

        yield loss
    objective.close()
