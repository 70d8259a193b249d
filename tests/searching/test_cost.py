from __future__ import annotations

from collections.abc import Iterable

from edgedistill.models.work import Product
from edgedistill.searching.cost import cost_of_model, unit_of
from edgedistill.target import Kernel

PRODUCTS = [[2, 1, 12, 30, 1, 1000], [1, 12, 1, 1, 9, 1000]]
KERNEL = Kernel(output_channels=16, input_channels=4, depthwise=16)


class Dear:
    unit = "instructions"

    def of(self, product: Product) -> float:
        return 10.0 * product.positions

    def learn(self, works: Iterable[Product]) -> None:
        self.learnt = list(works)


def test_a_model_costs_what_is_known_best() -> None:
    assert cost_of_model(PRODUCTS, None) == (2 * 12 * 30 + 12 * 9) / 1000
    assert cost_of_model(PRODUCTS, KERNEL) == (2 * 16 * 32 + 16 * 9) / 1000
    assert cost_of_model(PRODUCTS, KERNEL, Dear()) == 30_000
    assert [unit_of(None), unit_of(KERNEL), unit_of(KERNEL, Dear())] == [
        "M MACs", "M padded MACs", "instructions",
    ]  # fmt: skip
