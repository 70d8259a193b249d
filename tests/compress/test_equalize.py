from __future__ import annotations

import pytest
import torch
from networks import SIZE, Mobile, Residual, batches, normalized, pixels
from torch import Tensor, nn

from edgedistill.compress.equalize import equalize
from edgedistill.compress.fold import fold
from edgedistill.program import graph_of
from edgedistill.signature import image_inputs


class Separable(nn.Module):
    """A depthwise convolution whose channels differ by orders of magnitude, and paddings."""

    def __init__(self, act: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.wide, self.act = nn.Conv2d(3, 8, 1), act()
        self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.grouped = nn.Conv2d(8, 8, 3, 2, 1, groups=2)
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.wide(x))
        x = nn.functional.max_pool2d(nn.functional.pad(x, (1, 1, 1, 1)), 2, 1)
        x = self.act(self.grouped(self.act(self.depthwise(x))))
        found: Tensor = self.linear(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return found


def uneven(act: type[nn.Module] = nn.ReLU) -> nn.Module:
    torch.manual_seed(0)
    model = Separable(act).eval()
    with torch.no_grad():
        model.wide.weight.mul_(torch.logspace(-2, 1, 8).view(-1, 1, 1, 1))
        model.wide.bias.mul_(torch.logspace(-2, 1, 8))
        model.depthwise.weight.mul_(torch.logspace(1, -1, 8).view(-1, 1, 1, 1))
    return model


@pytest.mark.parametrize(
    "model",
    [
        *(lambda: normalized(Residual()), lambda: normalized(Mobile())),
        *(uneven, lambda: uneven(nn.ReLU6), lambda: uneven(nn.Hardswish)),
    ],
)
def test_the_function_stays_as_it_was(model: object) -> None:
    program = fold(model(), image_inputs(3, SIZE, SIZE))  # type: ignore[operator]
    with torch.no_grad():
        wanted = graph_of(program)(pixels(32))
        found = graph_of(equalize(program, batches(32, 8)))(pixels(32))
    assert float((found - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())


def spread(weights: dict[str, nn.Parameter]) -> float:
    """The largest over the smallest range of a channel before the depthwise convolution."""
    with torch.no_grad():
        given = nn.functional.conv2d(pixels(32), weights["wide.weight"], weights["wide.bias"])
    most = given.relu().amax((0, 2, 3))
    return float(most.max() / most[most > 0].min())


def test_channels_before_a_depthwise_convolution_get_ranges_alike() -> None:
    program = fold(uneven(), image_inputs(3, SIZE, SIZE))
    before, after = (
        spread(dict(graph_of(each).named_parameters()))
        for each in (program, equalize(program, batches(32, 8)))
    )
    assert after < max(before / 10, 1.5)


def test_what_clamps_above_is_left_alone() -> None:
    program = fold(uneven(nn.ReLU6), image_inputs(3, SIZE, SIZE))
    before, after = (
        dict(graph_of(each).named_parameters())
        for each in (program, equalize(program, batches(16, 8)))
    )
    assert torch.equal(before["wide.weight"], after["wide.weight"])
