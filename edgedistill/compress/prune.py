"""Structured pruning: whole channels, removed everywhere they are used.

torch-pruning's dependency graph (Fang et al. 2023, DepGraph) says which slices of which layers go
together; what is removed is chosen here, by importance for the cost it saves, in blocks of
`round_to` channels, until the wanted cost is reached.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from edgedistill.compress.candidates import Candidate, Touch, candidates
from edgedistill.compress.cost import Cost, Layer, cost_of, measure_cost, total
from edgedistill.compress.trial import Trial, cut, that_can_go
from edgedistill.errors import UserError
from edgedistill.models.pruned import Step, dependency_graph, understanding
from edgedistill.models.work import products
from edgedistill.target import Kernel

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
    goal: Cost,
    score: Callable[[Any], Tensor | None],
    round_to: int,
    kernel: Kernel | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Step]:
    """Remove channels from `model`, in place, until its cost is within `goal`, counted as the
    report counts it.

    Every group of coupled channels keeps a multiple of `round_to` (a count that is not one already
    is brought to one first) and at least that many; where a grouped convolution reads or gives
    them, as many in each of its groups. `kernel`: what padded costs are counted by. `say` is told
    which layers stay whole. Returns the steps, to be replayed on a fresh build of the same model.

    Raises UserError: the goal cannot be reached, with how far it would go; or torch-pruning does
    not understand the model.
    """
    with understanding():
        graph: Any = dependency_graph(model, example)
        calls = products(model, example)
        found, layers, whole = candidates(model, graph, calls, score, round_to, kernel)
        found = that_can_go(model, graph, example, found, whole)
    if whole:
        say(f"pruning: these layers keep all their channels: {_list(whole)}")
    start = cost_of(model, calls, kernel)
    wanted = goal
    for _ in range(_TRIES):
        chosen = _Choice(start, layers).reach(wanted, found, goal, whole)
        with Trial(model, graph) as trial:
            taken = _cut_and_run(model, graph, example, chosen)
            over = measure_cost(model, example, kernel).over(goal)
            if not over:
                trial.keep()
                model.zero_grad()
                return taken
        wanted = wanted - Cost(**{"macs": 0, "params": 0, **over})
    raise UserError(
        f"pruning does not come to {_told(goal, over)}: the model as cut costs more than was "
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


class _Choice:
    """Which blocks of channels go."""

    def __init__(self, cost: Cost, layers: dict[str, Layer]) -> None:
        self.cost = cost
        self.layers = {name: copy.copy(layer) for name, layer in layers.items()}
        self._known: dict[tuple[str, int, int], Cost] = {}

    def reach(
        self, wanted: Cost, found: list[Candidate], goal: Cost, whole: dict[str, str]
    ) -> dict[str, list[int]]:
        """The channels to remove, by the layer that gives them: always the blocks with the least
        importance for the share of the missing cost they save.

        Raises UserError: not all blocks together would do.
        """
        taken: list[tuple[Candidate, int]] = []
        left = {each.root: 0 for each in found}
        while over := self.cost.over(wanted):
            offers = [
                offer for each in found if (offer := self._offer(each, left[each.root], over))
            ]
            if not offers:
                raise _out_of_reach(goal, self.cost, whole)
            _, first, count = min(offers, key=lambda offer: (offer[0], offer[1].root))
            for _ in range(count):
                block = left[first.root]
                self._take(first.touches, len(first.blocks[block].channels))
                taken.append((first, block))
                left[first.root] += 1
        chosen: dict[str, list[int]] = {}
        for each, block in self._needed(taken, wanted):
            chosen.setdefault(each.root, []).extend(each.blocks[block].channels)
        return chosen

    def _offer(
        self, candidate: Candidate, next_: int, over: dict[str, float]
    ) -> tuple[float, Candidate, int] | None:
        """What the next blocks would lose for what they save: as few as save anything at all (of
        padded channels, a single one may save nothing)."""
        channels, lost = 0, 0.0
        for count, block in enumerate(candidate.blocks[next_:], 1):
            channels, lost = channels + len(block.channels), lost + block.importance
            saved = self._saving(candidate.touches, channels)
            worth = sum(getattr(saved, name) / much for name, much in over.items())
            if worth > 0:
                return lost / worth, candidate, count
        return None

    def _saving(self, touches: list[Touch], channels: int) -> Cost:
        before = self.cost
        self._take(touches, channels)
        saved = before - self.cost
        self._take(touches, -channels)
        return saved

    def _take(self, touches: list[Touch], channels: int) -> None:
        names = {touch.layer for touch in touches}
        before = total(self._of(name) for name in names)
        for touch in touches:
            layer, count = self.layers[touch.layer], round(channels * touch.ratio)
            if touch.on_output:
                layer.outputs -= count
            else:
                layer.inputs -= count
        self.cost = self.cost - before + total(self._of(name) for name in names)

    def _of(self, name: str) -> Cost:
        layer = self.layers[name]
        key = name, layer.outputs, layer.inputs
        if key not in self._known:
            self._known[key] = layer.cost()
        return self._known[key]

    def _needed(
        self, taken: list[tuple[Candidate, int]], wanted: Cost
    ) -> list[tuple[Candidate, int]]:
        """Give back, the most important first, the blocks that later ones made needless."""
        needed = []
        for each, number in sorted(taken, key=lambda pair: -pair[0].blocks[pair[1]].importance):
            channels = len(each.blocks[number].channels)
            self._take(each.touches, -channels)
            if not self.cost.within(wanted):
                self._take(each.touches, channels)
                needed.append((each, number))
        return needed


_UNITS = {
    "macs": ("{:.2f} M MACs", 1e6),
    "padded_macs": ("{:.2f} M padded MACs", 1e6),
    "params": ("{:.1f} k parameters", 1e3),
}


def _told(cost: Cost, names: Iterable[str]) -> str:
    parts = [_UNITS[name] for name in names]
    values = [getattr(cost, name) for name in names]
    told = [text.format(value / unit) for (text, unit), value in zip(parts, values, strict=True)]
    return " and ".join(told)


def _list(whole: dict[str, str]) -> str:
    shown = [f"`{name}` ({why})" for name, why in list(whole.items())[:_SHOWN]]
    more = len(whole) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _out_of_reach(goal: Cost, least: Cost, whole: dict[str, str]) -> UserError:
    names = list(least.over(goal))
    kept = f". These layers keep all their channels: {_list(whole)}" if whole else ""
    return UserError(
        f"pruning cannot reach {_told(goal, names)} in the wanted blocks of channels; the least is "
        f"{_told(least, names)}{kept}",
        "ask for less, lower `round_to`, or begin with a smaller student",
    )
