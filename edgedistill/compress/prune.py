"""Structured pruning: whole channels, removed everywhere they are used.

torch-pruning's dependency graph (Fang et al. 2023, DepGraph) says which slices of which layers go
together; what is removed is chosen here, by importance for the cost it saves, in blocks of
`round_to` channels, until the wanted cost is reached.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from edgedistill.compress.cost import Cost, Layer, cost_of, layers_of
from edgedistill.errors import UserError
from edgedistill.models.pruned import Step, dependency_graph, fixed_width, steps

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class _Touch:
    """A layer that loses channels together with a group's root."""

    layer: Layer
    on_output: bool
    ratio: float
    """Channels it loses for each one that the root loses."""


@dataclass(frozen=True)
class _Block:
    """Channels that would go together, and what they are worth."""

    channels: list[int]
    importance: float


def importance(
    kind: Literal["magnitude", "taylor", "hessian"],
    model: nn.Module,
    batch_losses: Iterable[Callable[[], Tensor]],
) -> Callable[[Any], Tensor | None]:
    """A score for each channel of a torch-pruning group.

    magnitude: the L2 norm of the weights (Li et al. 2017). taylor: |weight x gradient| (Molchanov
    et al. 2019). hessian: weight^2 x gradient^2 over batches, the empirical Fisher information in
    the place of the Hessian's diagonal (LeCun et al. 1989, Optimal Brain Damage).
    `batch_losses` are called for their gradients, one batch each; magnitude needs none.
    """
    import torch_pruning as tp

    options: dict[str, Any] = {"group_reduction": "sum", "normalizer": None}
    if kind == "magnitude":
        magnitude: Callable[[Any], Tensor | None] = tp.importance.GroupMagnitudeImportance(
            p=2, **options
        )
        return magnitude
    scorer: Any = (
        tp.importance.GroupTaylorImportance(**options)
        if kind == "taylor"
        else tp.importance.GroupHessianImportance(**options)
    )
    model.eval()
    model.zero_grad()
    for loss in batch_losses:
        if kind == "hessian":
            model.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        if kind == "hessian":
            scorer.accumulate_grad(model)
    score: Callable[[Any], Tensor | None] = scorer
    return score


def prune(
    model: nn.Module,
    example: Tensor,
    goal: Cost,
    score: Callable[[Any], Tensor | None],
    round_to: int,
) -> list[Step]:
    """Remove channels from `model`, in place, until its cost is within `goal`.

    Every group of coupled channels keeps a multiple of `round_to` (a count that is not one already
    is brought to one first) and at least that many. Returns the steps, to be replayed on a fresh
    build of the same model.

    Raises UserError: the goal cannot be reached, with how far it would go; or torch-pruning does
    not understand the model.
    """
    import torch

    try:
        graph: Any = dependency_graph(model, example)
    except Exception as error:  # it raises whatever an operator that it does not know makes it
        raise _not_understood(error) from error
    layers = layers_of(model, example)
    kept = [list(layers)[-1], *fixed_width(model)]
    groups = _safe(model, list(graph.get_all_groups(ignored_layers=kept)), example)
    scores = [score(group) for group in groups]
    queues = [[] if s is None else _blocks(s, round_to) for s in scores]
    touches = [_touches(group, layers) for group in groups]
    with torch.no_grad():
        for group, channels in zip(groups, _choose(queues, touches, layers, goal), strict=True):
            if channels:
                root = group[0].dep
                graph.get_pruning_group(root.target.module, root.handler, sorted(channels)).prune()
        try:
            model(example)
        except RuntimeError as error:
            raise _not_understood(error) from error
    model.zero_grad()
    return steps(graph.pruning_history())


def _not_understood(error: Exception) -> UserError:
    return UserError(
        f"pruning: torch-pruning does not understand this model: {type(error).__name__}: {error}",
        "leave `stages.prune` out, or give the model a method `fixed_width` that names the layers "
        "whose channels must stay",
    )


def _choose(
    queues: list[list[_Block]],
    touches: list[list[_Touch]],
    layers: dict[nn.Module, Layer],
    goal: Cost,
) -> list[list[int]]:
    """The channels to remove from each group: always the block with the least importance for the
    share of the missing cost it saves."""
    taken: list[tuple[int, _Block]] = []
    while not (cost := cost_of(layers.values())).within(goal):
        offers = []
        for number, queue in enumerate(queues):
            if queue and (worth := _worth(touches[number], len(queue[0].channels), cost, goal)) > 0:
                offers.append((queue[0].importance / worth, number))
        if not offers:
            raise UserError(
                f"pruning cannot reach {goal.macs / 1e6:.2f} M MACs and {goal.params / 1e3:.1f} k "
                f"parameters in the wanted blocks of channels; the least is "
                f"{cost.macs / 1e6:.2f} M and {cost.params / 1e3:.1f} k",
                "ask for less, lower `round_to`, or begin with a smaller student",
            )
        number = min(offers)[1]
        block = queues[number].pop(0)
        for touch in touches[number]:
            _take(touch, len(block.channels))
        taken.append((number, block))
    chosen: list[list[int]] = [[] for _ in queues]
    for number, block in _without_excess(taken, touches, layers, goal):
        chosen[number] += block.channels
    return chosen


def _without_excess(
    taken: list[tuple[int, _Block]],
    touches: list[list[_Touch]],
    layers: dict[nn.Module, Layer],
    goal: Cost,
) -> list[tuple[int, _Block]]:
    """Give back, the most important first, the blocks that later ones made needless."""
    needed = []
    for number, block in sorted(taken, key=lambda each: -each[1].importance):
        for touch in touches[number]:
            _take(touch, -len(block.channels))
        if cost_of(layers.values()).within(goal):
            continue
        for touch in touches[number]:
            _take(touch, len(block.channels))
        needed.append((number, block))
    return needed


def _safe(model: nn.Module, groups: list[Any], example: Tensor) -> list[Any]:
    """The groups without whose channels the model still runs.

    A shortcut that pads with a fixed number of zeros, say, ties channels in a way that the
    dependency graph does not see.
    """
    names = {module: name for name, module in model.named_modules()}
    roots = [names[group[0].dep.target.module] for group in groups]
    if _runs_without(model, roots, example):
        return groups
    return [
        group
        for group, root in zip(groups, roots, strict=True)
        if _runs_without(model, [root], example)
    ]


def _runs_without(model: nn.Module, roots: list[str], example: Tensor) -> bool:
    """Whether a copy of the model runs after losing one channel of each of these layers."""
    import torch

    trial = copy.deepcopy(model)
    graph: Any = dependency_graph(trial, example)
    try:
        for root in roots:
            layer = trial.get_submodule(root)
            handler = graph.get_pruner_of_module(layer).prune_out_channels
            graph.get_pruning_group(layer, handler, [0]).prune()
        with torch.no_grad():
            trial.eval()(example)
    except Exception:  # torch-pruning's own mistakes are of any kind
        return False
    return True


def _blocks(scores: Tensor, round_to: int) -> list[_Block]:
    """Channels from the least important up, in blocks; the last `round_to` are never offered."""
    order = scores.argsort().tolist()
    first = len(order) % round_to or round_to
    bounds = [0, *range(first, len(order) - round_to + 1, round_to)]
    return [_Block(order[a:b], float(scores[order[a:b]].sum())) for a, b in pairwise(bounds)]


def _touches(group: Any, layers: dict[nn.Module, Layer]) -> list[_Touch]:
    roots = len(group[0].idxs)
    return [
        _Touch(
            layers[dep.target.module],
            dep.handler.__name__ == "prune_out_channels",
            len(idxs) / roots,
        )
        for dep, idxs in group
        if dep.target.module in layers
    ]


def _take(touch: _Touch, channels: int) -> None:
    count = round(channels * touch.ratio)
    if touch.on_output:
        touch.layer.outputs -= count
    elif not touch.layer.depthwise:
        touch.layer.inputs -= count


def _worth(touches: list[_Touch], channels: int, cost: Cost, goal: Cost) -> float:
    """What removing `channels` would save, as a share of what is still over the goal."""
    touched = {id(touch.layer): touch.layer for touch in touches}
    before = cost_of(touched.values())
    trial = {key: copy.copy(layer) for key, layer in touched.items()}
    for touch in touches:
        _take(_Touch(trial[id(touch.layer)], touch.on_output, touch.ratio), channels)
    after = cost_of(trial.values())
    worth = 0.0
    if cost.macs > goal.macs:
        worth += (before.macs - after.macs) / (cost.macs - goal.macs)
    if cost.params > goal.params:
        worth += (before.params - after.params) / (cost.params - goal.params)
    return worth
