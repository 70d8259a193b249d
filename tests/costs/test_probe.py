from __future__ import annotations

import pytest

from edgedistill.costs.probe import Probe, around, probe_of
from edgedistill.models.steps import Step
from edgedistill.models.work import Product
from edgedistill.target import Kernel

KERNEL = Kernel(output_channels=16, input_channels=4, depthwise=8)


def test_channels_are_taken_up_to_whole_tiles() -> None:
    product = Product(1, 17, 3, 9, 100)
    assert probe_of(product, KERNEL) == (Probe("convolution", 32, 4, 9, 100), 1)
    depthwise = Product(10, 1, 1, 9, 100)
    assert probe_of(depthwise, KERNEL) == (Probe("depthwise", 10, 1, 9, 100), 1)
    assert probe_of(Product(1, 10, 40, 1, 1), KERNEL) == (Probe("linear", 16, 40), 1)
    assert probe_of(Product(3, 16, 4, 9, 64), KERNEL)[1] == 3
    assert probe_of(Step("add", 8, 36), KERNEL) == (Probe("add", 288), 1)


def test_a_size_lies_between_two_rungs() -> None:
    found = around(Probe("convolution", 20 * 16, 8, 9, 1024), KERNEL)
    assert found == [
        (Probe("convolution", 256, 8, 9, 1024), 0.5),
        (Probe("convolution", 384, 8, 9, 1024), 0.5),
    ]
    assert around(Probe("add", 512), KERNEL) == [(Probe("add", 512), 1.0)]


@pytest.mark.parametrize("probe", [Probe("convolution", 80, 116, 9, 900), Probe("add", 1000)])
def test_weights_give_the_size_itself(probe: Probe) -> None:
    found = around(probe, KERNEL)
    assert sum(weight for _, weight in found) == pytest.approx(1.0)
    for axis in ("outputs", "inputs", "positions"):
        whole = sum(weight * getattr(rung, axis) for rung, weight in found)
        assert whole == pytest.approx(getattr(probe, axis))


def test_a_key_reads_back() -> None:
    probe = Probe("convolution", 80, 116, 9, 900)
    assert Probe.read(probe.key) == probe
