"""Structured pruning: whole channels, removed everywhere they are used.

torch-pruning's dependency graph (Fang et al. 2023, DepGraph) says which slices of which layers go
together; what is removed is chosen by importance and by what it costs, in blocks of `round_to`
channels (`knapsack.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from edgedistill.compress.candidates import candidates, sizes
from edgedistill.compress.cost import (
    Costs,
    Figure,
    computed,
    learn,
    measure,
    over,
    reckon,
    told,
)
from edgedistill.compress.knapsack import Knapsack
from edgedistill.compress.trial import Trial, cut, that_can_go
from edgedistill.errors import UserError
from edgedistill.models.pruned import Step, dependency_graph, understanding

if TYPE_CHECKING:
    from torch import Tensor, nn

_TRIES = 8
"""Times that more is cut where the model as cut costs more than was foreseen."""
_SHOWN = 5
"""Layers that a message names."""


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

    options: dict[str, str | None] = {"group_reduction": "sum", "normalizer": None}
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
    limits: Mapping[Figure, float],
    score: Callable[[Any], Tensor | None],
    round_to: int,
    say: Callable[[str], None] = lambda text: None,
) -> list[Step]:
    """Remove channels from `model`, in place, until no figure of its cost is above its limit,
    counted as the report counts it.

    Every group of coupled channels keeps a multiple of `round_to` (a count that is not one already
    is brought to one first) and at least that many; where a grouped convolution reads or gives
    them, as many in each of its groups. Counts that cost no less than a larger one are not taken.
    `say` is told of those, and which layers stay whole. Returns the steps, to be replayed on a
    fresh build of the same model.

    Raises UserError: the limits cannot be met, with how far it would go; or torch-pruning does
    not understand the model.
    """
    with understanding():
        graph: Any = dependency_graph(model, example)
        calls = computed(model, example, limits)
        found, layers, whole = candidates(model, graph, calls, score, round_to)
        found = that_can_go(model, graph, example, found, whole)
    for figure in limits:
        learn(figure, sizes(layers, found))
    if whole:
        say(f"pruning: these layers keep all their channels: {_list(whole)}")
    knapsack = Knapsack(reckon(model, calls, limits), layers, found)
    useless = _useless(knapsack)
    if useless:
        say(f"pruning: widths that cost no less than more channels are not taken: {useless}")
    wanted = dict(limits)
    for _ in range(_TRIES):
        if not knapsack.fill(wanted):
            raise _out_of_reach(limits, knapsack.costs, whole)
        with Trial(model, graph) as trial:
            taken = _cut_and_run(model, graph, example, knapsack.chosen)
            missing = over(measure(model, example, limits), limits)
            if not missing:
                trial.keep()
                model.zero_grad()
                return taken
        wanted = {figure: limit - missing.get(figure, 0.0) for figure, limit in wanted.items()}
    raise UserError(
        f"pruning does not come to {told(limits, missing)}: the model as cut costs more than was "
        "foreseen", "lower `round_to`, or begin with a smaller student",
    )  # fmt: skip


def _cut_and_run(
    model: nn.Module, graph: Any, example: Tensor, chosen: dict[str, list[int]]
) -> list[Step]:
    """Raises UserError: it does not run without these channels."""
    import torch

    with understanding(), torch.no_grad():
        taken = cut(model, graph, chosen)
        model.eval()(example)
    return taken


def _useless(knapsack: Knapsack) -> str:
    """Of each layer the width that costs most beside a larger one; the worst layers."""
    worst: dict[str, tuple[float, str]] = {}
    for root, width, larger, costs, others in knapsack.useless():
        ratios = {figure: costs[figure] / others[figure] for figure in costs}
        figure = max(ratios, key=lambda each: ratios[each])
        cost, other = figure.told(costs[figure]), figure.told(others[figure])
        text = f"`{root}` with {width}, as {larger} cost as much"
        if cost != other:
            text = f"`{root}` with {width} (then {cost}; with {larger}, {other})"
        worst[root] = max(worst.get(root, (0.0, "")), (ratios[figure], text))
    texts = [text for _, text in sorted(worst.values(), reverse=True)]
    return ", ".join(texts[:_SHOWN]) + _and_more(texts)


def _list(whole: dict[str, str]) -> str:
    named = [f"`{name}` ({why})" for name, why in whole.items()]
    return ", ".join(named[:_SHOWN]) + _and_more(named)


def _and_more(named: Sequence[str]) -> str:
    return f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""


def _out_of_reach(limits: Mapping[Figure, float], least: Costs, whole: dict[str, str]) -> UserError:
    figures = over(least, limits)
    kept = f". These layers keep all their channels: {_list(whole)}" if whole else ""
    return UserError(
        f"pruning cannot reach {told(limits, figures)} in the wanted blocks of channels; the least "
        f"is {told(least, figures)}{kept}",
        "ask for less, lower `round_to`, or begin with a smaller student",
    )
