"""What one inference of a model costs on a target, as a search counts it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from edgedistill.models.work import Product, padded_of
from edgedistill.target import Kernel


class Prices(Protocol):
    """What a device asks for each product of a model."""

    @property
    def unit(self) -> str:
        """Such as `instructions` or `microseconds`."""

    def of(self, product: Product) -> float:
        """The price of one product."""

    def learn(self, works: Iterable[Product]) -> None:
        """Ask at once for all of these that are not known yet."""


def unit_of(kernel: Kernel | None, prices: Prices | None = None) -> str:
    """In which `cost_of_model` counts."""
    if prices is not None:
        return prices.unit
    return "M MACs" if kernel is None else "M padded MACs"


def cost_of_model(
    products: Sequence[Sequence[int]], kernel: Kernel | None, prices: Prices | None = None
) -> float:
    """The device's price of what a model multiplies, where it is known; else multiply-accumulates
    in millions, padded as the target's kernels compute them, where those are known.

    products: as `models.work.listed` gives them.
    """
    if kernel is not None and prices is None:
        return padded_of(products, kernel) / 1e6
    found = [
        (times, Product(groups, outputs, inputs, size, positions))
        for times, groups, outputs, inputs, size, positions in products
    ]
    if prices is not None:
        prices.learn(product for _, product in found)
        return sum(times * prices.of(product) for times, product in found)
    return sum(times * product.macs for times, product in found) / 1e6
