"""Take channels out of the student in rounds, and let it recover from the teacher after each."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.compress.cost import (
    BYTES,
    MACS,
    PARAMS,
    Costs,
    Figure,
    measure,
    over,
    padded,
    priced,
    told,
)
from edgedistill.compress.prune import importance, prune
from edgedistill.costs import PriceSource
from edgedistill.costs.probe_file import Numbers
from edgedistill.errors import UserError
from edgedistill.models import load, save
from edgedistill.predict import state_of_model, task_of
from edgedistill.recipe import Changes, PruneConfig
from edgedistill.records import DataRecord, PruneRound, StageMetrics, as_json, read_record
from edgedistill.signature import blank
from edgedistill.stages import Context
from edgedistill.target import Frozen, Kernel, Target
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
    prices: PriceSource | None = None
    """What a goal in the device's cost is counted by."""
    augment: Changes
    workers: int | None


def prices_for(settings: PruneConfig, target: Target, numbers: Numbers) -> PriceSource | None:
    """Where the price list comes from that these settings ask for; None where they ask for none.
    numbers: of the files that ship.

    Raises UserError: the target's device has none, or is not there.
    """
    key = "cost" if settings.cost else "if_costlier" if settings.if_costlier else ""
    if not key:
        return None
    try:
        return PriceSource.of(target, numbers)
    except UserError as error:
        raise UserError(
            f"stages.prune.{key}: {error.message}",
            f"{error.hint}; or leave `{key}` out, and prune to `macs`",
        ) from error


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the student as `model`, pruned, or as it was where pruning cost too much.

    Raises UserError: the pruned student costs more on the device, and that is to fail.
    """
    data = DataRecord.read(inputs["data"])
    training_inputs = open_training_inputs(
        inputs, config.prune.losses, config.augment, context.seed, config.workers
    )
    (example,) = blank(data.inputs)
    original = inputs["distill"].path / "model"
    figures = _figures(config, context.cache, context.reporter.say)
    before = measure(load(original), example, figures.values())
    goals = _goals(config.prune, figures, before)
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
    costs = measure(load(folder), example, figures.values())
    reason = _costlier(config.prune, figures, before, costs) or _worse(config.prune, drop)
    undone = bool(reason)
    if undone:
        context.reporter.say(f"prune: undone, {reason}")
    result = state_of_model(load(original), inputs["data"], task) if undone else after
    shutil.copytree(
        original if undone else folder, context.scratch / "model", dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(PruneRound.FILE, "*.part"),
    )  # fmt: skip
    return {
        **context.told("prune", result),
        "undone": undone,
        "drop": drop,
        "undone_because": reason,
        "costs": {
            name: {
                "unit": each.unit,
                "before": before[each] / each.per,
                "pruned": costs[each] / each.per,
            }
            for name, each in figures.items()
        },
        "rounds": [as_json(each) for each in history],
        "samples_seen": samples_seen,
        "seconds": seconds,
        "images_per_second": samples_seen / seconds,
    }


def _worse(settings: PruneConfig, drop: float) -> str:
    """That pruning cost too much quality; empty where it did not."""
    if drop <= settings.max_drop:
        return ""
    return (
        f"it cost {drop:.2f} points of validation quality and `stages.prune.max_drop` allows "
        f"{settings.max_drop:g}"
    )


def _costlier(
    settings: PruneConfig, figures: dict[str, Figure], before: Costs, after: Costs
) -> str:
    """That the device computes the pruned student for more than the one before; empty where it
    does not, or nobody asked. Raises UserError: so it is, and that is to fail."""
    if settings.if_costlier is None or not over(after, {figures["cost"]: before[figures["cost"]]}):
        return ""
    reason = (
        f"it costs {told(after, [figures['cost']])} on the target's device, and before "
        f"{told(before, [figures['cost']])}"
    )
    if settings.if_costlier == "fail":
        raise UserError(
            f"prune: the student is no cheaper for it: {reason} (`stages.prune.if_costlier`)",
            "prune to `cost`, in multiples of what the kernels compute at once (`round_to`), or "
            "not at all",
        )
    return reason


def _quality(distilled: Artifact) -> float:
    quality = StageMetrics.read(distilled).validation_quality
    assert quality is not None, "a distilled student has a quality"
    return quality


def rehearse(
    config: Config, student: nn.Module, example: Tensor, cache: Path, say: Callable[[str], None]
) -> None:
    """Cut a student that has learned nothing yet as far as is asked, in place. What that asks of a
    device is kept in the cache's folder: the stage asks nothing more.

    Raises UserError: the goal cannot be reached, or the student cannot be pruned.
    """
    figures = _figures(config, cache, say)
    before = measure(student, example, figures.values())
    scores = importance("magnitude", student, [])
    last = _goals(config.prune, figures, before)[-1]
    prune(student, example, last, scores, config.round_to)


def _round(
    config: Config,
    training_inputs: TrainingInputs,
    context: Context,
    folder: Any,
    goal: Costs,
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
        config.round_to, context.reporter.say,
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
    cost = measure(model, example, (MACS, PARAMS))
    PruneRound(**metrics, macs=cost[MACS] / 1e6, params=cost[PARAMS] / 1e3).write(done)


def _figures(config: Config, cache: Path, say: Callable[[str], None]) -> dict[str, Figure]:
    """What the recipe limits or looks at, by the keys of its goals. cache: the cache's folder.

    Raises UserError: the device is not the one with which the compile was planned.
    """
    wanted = config.prune
    found = {"macs": MACS, "params": PARAMS}
    if wanted.weights_kb is not None:
        found["weights_kb"] = BYTES
    if config.kernel is not None:
        found["padded_macs"] = padded(config.kernel)
    if config.prices is not None:
        found["cost"] = priced(config.prices.open(cache, say))
    return found


def _goals(config: PruneConfig, figures: dict[str, Figure], before: Costs) -> list[Costs]:
    """Limits to keep after each round: equal ratios from today's costs to the wanted ones."""
    wanted = {
        figures[name]: getattr(config, name) * figures[name].per
        for name in figures
        if getattr(config, name) is not None
    }
    if config.speedup is not None:
        wanted[MACS] = min(wanted.get(MACS, math.inf), before[MACS] / config.speedup)
    return [
        {
            figure: before[figure] * min(1.0, limit / before[figure]) ** (number / config.rounds)
            for figure, limit in wanted.items()
        }
        for number in range(1, config.rounds + 1)
    ]


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
