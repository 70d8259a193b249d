from __future__ import annotations

import torch
from torch import nn

from edgedistill.checkpoint import Average
from edgedistill.compress.fake_quantize import ActivationFakeQuantize, FixedFakeQuantize

SCHEME = {
    "dtype": torch.int8, "quant_min": -128, "quant_max": 127,
    "qscheme": torch.per_tensor_affine, "is_dynamic": False,
}  # fmt: skip


def watching(low: float, high: float, momentum: float = 1.0) -> ActivationFakeQuantize:
    rounding = ActivationFakeQuantize(**SCHEME)
    rounding.momentum = momentum
    rounding(torch.tensor([low, high]))
    rounding.update_range()
    return rounding


def test_an_averaged_range_has_the_scale_and_the_zero_point_that_follow_from_it() -> None:
    rounding = watching(-1.0, 4.0)
    average = Average(rounding, 0.5)
    for low, high in ((-0.6, 2.0), (-0.9, 2.5), (-1.3, 2.6)):
        rounding(torch.tensor([low, high]))
        rounding.update_range()
        average.update()
    live = int(rounding.zero_point)
    average.store()
    low, high = rounding.low.item(), rounding.high.item()
    assert (round(low, 4), round(high, 4)) == (-1.075, 2.675)
    assert rounding.scale.item() == torch.tensor((high - low) / 255).item()
    assert int(rounding.zero_point) == round(-128 - low / rounding.scale.item()) == -55
    assert live == -43
    # The range's own ends are what the integers reach.
    for level, end in ((-128, low), (127, high)):
        reached = (level - int(rounding.zero_point)) * rounding.scale.item()
        assert abs(reached - end) <= rounding.scale.item()


def test_a_range_that_saw_nothing_and_a_fixed_one_stay_as_they_are() -> None:
    blank, fixed = ActivationFakeQuantize(**SCHEME), FixedFakeQuantize(1 / 255, -128, **SCHEME)
    average = Average(nn.ModuleList([blank, fixed]), 0.9)
    for _ in range(5):
        average.update()
    average.store()
    assert blank.scale.item() == 1.0
    assert fixed.scale.item() == torch.tensor(1 / 255).item()
    assert int(fixed.zero_point) == -128
