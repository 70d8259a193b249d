"""A price list without a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgedistill.models.work import Product

STEP = 16


@dataclass(frozen=True)
class Steps:
    """Channels are computed sixteen at once, of inputs as of outputs."""

    tail: float = 1.0
    """What a step that is not full costs, by a full one: more than one, where a slower kernel takes
    the last channels."""

    @property
    def unit(self) -> Literal["instructions", "microseconds"]:
        return "instructions"

    @property
    def digest(self) -> str:
        return f"steps of {STEP}, {self.tail}"

    def of(self, product: Product) -> float:
        outputs, inputs = (self._up(each) for each in (product.outputs, product.inputs))
        return product.groups * outputs * inputs * product.kernel * product.positions / STEP

    def _up(self, channels: int) -> float:
        whole, rest = divmod(channels, STEP)
        return STEP * (whole + (self.tail if rest else 0.0))
