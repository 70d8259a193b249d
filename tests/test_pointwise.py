"""Strided 1x1 convolutions of few channels, and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgedistill.pointwise import _Taken, safe_pointwise


def gradients(call: str, layer: nn.Conv2d, pixels: torch.Tensor) -> list[torch.Tensor]:
    layer.zero_grad()
    if call == "module":
        found = layer(pixels)
    elif call == "function":
        found = functional.conv2d(pixels, layer.weight, stride=layer.stride, bias=layer.bias)
    else:
        found = torch.ops.aten.conv2d.default(pixels, layer.weight, layer.bias, list(layer.stride))
    found.square().sum().backward()
    assert layer.weight.grad is not None
    return [found.detach(), layer.weight.grad.clone()]


@pytest.mark.parametrize("call", ["module", "function", "operator"])
@pytest.mark.parametrize(("stride", "bias"), [(2, True), ((1, 3), False), (2, False)])
def test_they_are_what_striding_gives(call: str, stride: int | tuple[int, int], bias: bool) -> None:
    layer = nn.Conv2d(8, 6, 1, stride, bias=bias)
    pixels = torch.randn(2, 8, 9, 10)
    plain = gradients(call, layer, pixels)  # not channels-last: free of the fault
    with _Taken():
        taken = gradients(call, layer, pixels)
    for one, other in zip(plain, taken, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_training_outlives_them() -> None:
    layer = nn.Conv2d(8, 8, 1, 2, bias=False).to(memory_format=torch.channels_last)
    pixels = torch.randn(16, 8, 48, 48).contiguous(memory_format=torch.channels_last)
    with safe_pointwise(layer):
        for _ in range(3):
            gradients("module", layer, pixels)
            gradients("operator", layer, pixels)
    assert torch.isfinite(layer.weight).all()
