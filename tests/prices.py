"""A price list without a device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from edgedistill.models.steps import Work
from edgedistill.models.work import Product

STEP = 16


@dataclass(frozen=True)
class Steps:
    """Channels are computed sixteen at once, of inputs as of outputs."""

    tail: float = 1.0
    """What a step that is not full costs, by a full one: more than one, where a slower kernel takes
    the last channels."""
    each: float = 0.0
    """What an operator costs whatever its size."""
    learnt: set[Work] = field(default_factory=set, compare=False)
    asked_late: set[Work] = field(default_factory=set, compare=False)
    """What was priced before it was asked for."""

    @property
    def unit(self) -> Literal["instructions", "microseconds"]:
        return "instructions"

    def of(self, work: Work) -> float:
        self.asked_late.update({work} - self.learnt)
        if not isinstance(work, Product):
            return 0.0
        outputs, inputs = (self._up(each) for each in (work.outputs, work.inputs))
        return work.groups * outputs * inputs * work.kernel * work.positions / STEP

    def fixed(self, operators: int) -> float:
        return self.each * operators

    def learn(self, works: Iterable[Work]) -> None:
        self.learnt.update(works)

    def _up(self, channels: int) -> float:
        whole, rest = divmod(channels, STEP)
        return STEP * (whole + (self.tail if rest else 0.0))
