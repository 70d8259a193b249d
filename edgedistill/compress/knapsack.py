"""Which channels stay: as much importance as the limits on an inference's cost hold.

Shen et al. 2021 (HALP) put channels, in steps of the kernels, into a knapsack: each step has its
importance and its price. A layer's price depends on two widths, of what it reads and of what it
gives, so prices that are added up step by step, as theirs, promise more than a cut saves. Here
every choice is priced as the layers would then be: first the steps that lose least for what they
save, then exchanges, one group's step back for another's, as long as importance is won. That is
done twice, by what a step saves at all and by what it saves of what is missing; the better counts.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from edgedistill.compress.candidates import Candidate, Touch
from edgedistill.compress.cost import Costs, Figure, Layer, over

_AHEAD = 8
"""Steps that are looked at beyond the first that saves anything."""


class Knapsack:
    """A choice of channels, its importance, and what the model would cost."""

    def __init__(
        self, costs: Costs, layers: Mapping[str, Layer], found: Sequence[Candidate]
    ) -> None:
        """costs: of the whole model, nothing cut."""
        self._figures = tuple(costs)
        self._costs = tuple(costs.values())
        self._layers = {name: copy.copy(layer) for name, layer in layers.items()}
        self._known: dict[tuple[str, int, int], tuple[float, ...]] = {}
        self._groups = [_Group(each) for each in found]

    @property
    def costs(self) -> Costs:
        """Of the model as chosen."""
        return self._named(self._costs)

    @property
    def lost(self) -> float:
        """Importance of all that goes."""
        return sum(group.lost[group.cut] for group in self._groups)

    @property
    def chosen(self) -> dict[str, list[int]]:
        """The channels that go, by the layer that gives them."""
        return {
            group.root: [channel for block in group.blocks[: group.cut] for channel in block]
            for group in self._groups
            if group.cut
        }

    def fill(self, limits: Mapping[Figure, float]) -> bool:
        """Choose anew, within the limits. False: not all that can go would do; then it has gone as
        far as anything was saved."""
        best: list[int] | None = None
        least = math.inf
        for capped in (True, False):
            if self._descends(limits, capped):
                while self._gives_back(limits) or self._exchanges(limits):
                    pass
                if self.lost < least:
                    least, best = self.lost, [group.cut for group in self._groups]
        if best is not None:
            self._set_all(best)
        return best is not None

    def useless(self) -> Iterator[tuple[str, int, int, Costs, Costs]]:
        """Widths that cost no less, in any figure, than a larger one, with nothing else cut: the
        layer, that width, the larger one, and what the model costs with each."""
        for group in self._groups:
            seen: list[tuple[float, ...]] = []
            for cut in range(len(group.blocks) + 1):
                costs = self._costs_with(group, cut)
                for larger, other in enumerate(seen):
                    if all(a <= b for a, b in zip(other, costs, strict=True)):
                        yield (
                            group.root, group.width(cut), group.width(larger),
                            self._named(costs), self._named(other),
                        )  # fmt: skip
                        break
                seen.append(costs)

    def _descends(self, limits: Mapping[Figure, float], capped: bool) -> bool:
        """Cut, from the whole, what loses least for what it saves, until the limits hold; what is
        saved beyond them counts too, unless it is capped. False: nothing saves any more."""
        self._set_all([0] * len(self._groups))
        while missing := over(self.costs, limits):
            offers = [
                (worth, number, cut)
                for number, group in enumerate(self._groups)
                for worth, cut in self._offers(group, missing, capped)
            ]
            if not offers:
                return False
            _, number, cut = min(offers)
            self._set(self._groups[number], cut)
        return True

    def _set_all(self, cuts: Sequence[int]) -> None:
        for group, cut in zip(self._groups, cuts, strict=True):
            self._set(group, cut)

    def _offers(self, group: _Group, missing: Costs, capped: bool) -> Iterator[tuple[float, int]]:
        """Cuts of a group that save something of what is missing, with the importance that they
        lose for their share of it. A cut that saves nothing, or costs more elsewhere, is none."""
        looked = 0
        for cut in range(group.cut + 1, len(group.blocks) + 1):
            costs = self._named(self._costs_with(group, cut))
            now = self.costs
            shares = [(now[figure] - costs[figure]) / much for figure, much in missing.items()]
            worth = sum(min(share, 1.0) for share in shares) if capped else sum(shares)
            if worth > 0:
                yield (group.lost[cut] - group.lost[group.cut]) / worth, cut
            looked += bool(looked) or worth > 0
            if looked > _AHEAD:
                return

    def _gives_back(self, limits: Mapping[Figure, float]) -> bool:
        """Take the most important step back that fits as it is."""
        best = max(
            (
                (group.lost[group.cut] - group.lost[cut], -number, cut)
                for number, group in enumerate(self._groups)
                for cut in range(group.cut)
                if self._fits(self._costs_with(group, cut), limits)
            ),
            default=None,
        )
        if best is None or best[0] <= 0:
            return False
        self._set(self._groups[-best[1]], best[2])
        return True

    def _exchanges(self, limits: Mapping[Figure, float]) -> bool:
        """Take a step back where another group, for less importance, can make room for it."""
        for group in self._groups:
            before = group.cut
            for cut in range(before - 1, max(before - 1 - _AHEAD, -1), -1):
                self._set(group, cut)
                found = self._room(group, group.lost[before] - group.lost[cut], limits)
                if found is not None:
                    self._set(*found)
                    return True
            self._set(group, before)
        return False

    def _room(
        self, to: _Group, gain: float, limits: Mapping[Figure, float]
    ) -> tuple[_Group, int] | None:
        """The cut of another group that makes the choice fit and loses least; None where each
        loses as much as is gained."""
        best = None
        for other in self._groups:
            if other is to:
                continue
            for cut in range(other.cut + 1, len(other.blocks) + 1):
                loss = other.lost[cut] - other.lost[other.cut]
                if loss >= gain * (1 - 1e-9):
                    break
                if self._fits(self._costs_with(other, cut), limits):
                    gain, best = loss, (other, cut)
                    break
        return best

    def _fits(self, costs: tuple[float, ...], limits: Mapping[Figure, float]) -> bool:
        return not over(self._named(costs), limits)

    def _named(self, costs: tuple[float, ...]) -> Costs:
        return dict(zip(self._figures, costs, strict=True))

    def _costs_with(self, group: _Group, cut: int) -> tuple[float, ...]:
        """Of the model, if that group were cut so far."""
        before, costs = group.cut, self._costs
        self._set(group, cut)
        found = self._costs
        self._set(group, before)
        self._costs = costs
        return found

    def _set(self, group: _Group, cut: int) -> None:
        """Cut a group so far, no more and no less."""
        names = {touch.layer for touch in group.touches}
        before = [self._of(name) for name in names]
        for touch in group.touches:
            _narrow(self._layers[touch.layer], touch, group.gone[group.cut], group.gone[cut])
        after = [self._of(name) for name in names]
        group.cut = cut
        self._costs = tuple(
            now + sum(new) - sum(old)
            for now, new, old in zip(
                self._costs, zip(*after, strict=True), zip(*before, strict=True), strict=True
            )
        )

    def _of(self, name: str) -> tuple[float, ...]:
        layer = self._layers[name]
        key = name, layer.outputs, layer.inputs
        if key not in self._known:
            self._known[key] = layer.costs(self._figures)
        return self._known[key]


class _Group:
    """A candidate, and how many of its blocks go."""

    def __init__(self, candidate: Candidate) -> None:
        self.root, self.touches = candidate.root, candidate.touches
        self.blocks = [block.channels for block in candidate.blocks]
        self.cut = 0
        self.lost = [0.0, *accumulate(block.importance for block in candidate.blocks)]
        """Importance that goes with so many blocks."""
        self.gone = [0, *accumulate(len(block) for block in self.blocks)]
        """Channels that go with them."""
        self._width = candidate.width

    def width(self, cut: int) -> int:
        """Channels that stay."""
        return self._width - self.gone[cut]


def _narrow(layer: Layer, touch: Touch, gone: int, going: int) -> None:
    """Let the root's cut, of `gone` channels so far, be one of `going`."""
    count = round(going * touch.ratio) - round(gone * touch.ratio)
    if touch.on_output:
        layer.outputs -= count
    else:
        layer.inputs -= count
