from __future__ import annotations

import pytest
import torch
from torch import nn

from edgedistill.distill.bfloat16 import products_in_bf16


def convolution(sizes: int, groups: int) -> tuple[nn.Module, torch.Tensor]:
    """Over 8 channels, in one dimension or two, and 2 samples for it."""
    torch.manual_seed(0)
    kind = nn.Conv1d if sizes == 1 else nn.Conv2d
    return kind(8, 8, 3, groups=groups), torch.randn(2, 8, *[9] * sizes)


@pytest.mark.parametrize("sizes", [1, 2])
@pytest.mark.parametrize("exported", [False, True])
def test_depthwise_convolutions_are_trained_in_float32_and_all_others_in_bfloat16(
    sizes: int, exported: bool
) -> None:
    for groups, dtype in ((1, torch.bfloat16), (2, torch.bfloat16), (8, torch.float32)):
        module, inputs = convolution(sizes, groups)
        expected = module(inputs)
        if exported:
            module = torch.export.export(module, (inputs,)).module()
        with products_in_bf16("cpu"):
            found = module(inputs)
        assert found.dtype == dtype
        exact = groups == 8
        torch.testing.assert_close(
            found.float(), expected, rtol=0, atol=0 if exact else 0.03, msg=f"{groups} groups"
        )


def test_a_depthwise_convolution_learns_from_what_came_in_bfloat16() -> None:
    module, inputs = convolution(2, 8)
    first, _ = convolution(2, 1)
    with products_in_bf16("cpu"):
        module(first(inputs)).sum().backward()
    assert all(weight.grad is not None for weight in (*first.parameters(), *module.parameters()))


def test_without_gradients_depthwise_convolutions_are_in_bfloat16_too() -> None:
    module, inputs = convolution(2, 8)
    with torch.no_grad(), products_in_bf16("cpu"):
        assert module(inputs).dtype == torch.bfloat16


def test_nothing_is_in_bfloat16_where_it_is_not_wanted() -> None:
    module, inputs = convolution(2, 1)
    with products_in_bf16("cpu", wanted=False):
        assert module(inputs).dtype == torch.float32
    assert module(inputs).dtype == torch.float32


def test_a_convolution_called_by_names_is_computed() -> None:
    module, inputs = convolution(2, 8)
    with products_in_bf16("cpu"):
        found = nn.functional.conv2d(input=inputs, weight=module.weight, groups=8)
    assert found.shape == (2, 8, 7, 7)


def test_what_a_module_computes_in_double_stays_so() -> None:
    module, inputs = convolution(2, 8)
    with products_in_bf16("cpu"):
        assert module.double()(inputs.double()).dtype == torch.float64
