"""Prices of operators on one device, and what a whole model costs by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from edgedistill.costs.probe import Probe, around, probe_of
from edgedistill.models.steps import Work
from edgedistill.target import Kernel

Unit = Literal["instructions", "microseconds"]
Ask = Callable[[list[Probe]], Mapping[Probe, float]]


@dataclass(frozen=True)
class Fixed:
    """What an inference costs beside its operators."""

    whole: float
    each: float
    """For each of its operators."""


class Prices:
    """What operators cost on a device: asked once, told from the nearest sizes that were.

    known: prices of operators by their sizes; ask: gets those that are not known, and remembers
    them.
    """

    def __init__(
        self,
        unit: Unit,
        where: str,
        kernel: Kernel,
        known: Mapping[Probe, float],
        fixed: Fixed,
        ask: Ask,
    ) -> None:
        self.unit = unit
        self.where = where
        """The device, in words."""
        self.asked = 0
        """How many operators were asked of the device."""
        self._kernel = kernel
        self._known = dict(known)
        self._fixed = fixed
        self._ask = ask

    def of(self, work: Work) -> float:
        """What `work` costs in one inference. Raises UserError: the device cannot tell."""
        self.learn([work])
        probe, times = probe_of(work, self._kernel)
        return times * sum(share * self._known[rung] for rung, share in around(probe, self._kernel))

    def predict(self, works: Iterable[Work]) -> float:
        """What an inference of a whole model costs, whose work that is."""
        found = list(works)
        self.learn(found)
        return self.fixed(len(found)) + sum(map(self.of, found))

    def fixed(self, operators: int) -> float:
        """What an inference of so many operators costs beside them. It may be below nothing: an
        operator is counted with the profiler's own instructions."""
        return self._fixed.whole + self._fixed.each * operators

    def learn(self, works: Iterable[Work]) -> None:
        """Ask for all that `works` needs and is not known, at once: that is quicker than one by
        one."""
        needed = {
            rung
            for work in set(works)
            for rung, _ in around(probe_of(work, self._kernel)[0], self._kernel)
        }
        missing = sorted(needed - set(self._known))
        if missing:
            self._known |= self._ask(missing)
            self.asked += len(missing)
