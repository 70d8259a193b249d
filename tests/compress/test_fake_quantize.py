from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from networks import SIZE, Mobile, batches, normalized, pixels
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from edgedistill.compress import fake_quantize
from edgedistill.compress.fake_quantize import (
    ActivationFakeQuantize,
    FakeQuantize,
    FixedFakeQuantize,
    WeightFakeQuantize,
)
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, prepare
from edgedistill.program import answers
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

ACTIVATION: dict[str, Any] = {
    "dtype": torch.int8, "quant_min": -128, "quant_max": 127,
    "qscheme": torch.per_tensor_affine, "is_dynamic": False,
}  # fmt: skip
WEIGHT = {**ACTIVATION, "quant_min": -127, "qscheme": torch.per_channel_symmetric}


class _Reads(TorchDispatchMode):
    """Counts the numbers that the host asks a tensor for; on `meta`, which has none, it gets 1."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
        if "_local_scalar_dense" not in str(function):
            return function(*args, **(kwargs or {}))
        self.count += 1
        return 1.0 if args[0].is_floating_point() else 1


@contextmanager
def reads() -> Iterator[_Reads]:
    with _Reads() as counter:
        yield counter


class Net(nn.Module):
    """A convolution and what rounds its input, its weight and its output."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
        self.pixels = FixedFakeQuantize(1 / 255, -128, **ACTIVATION)
        self.weight = WeightFakeQuantize(**WEIGHT)
        self.answers = ActivationFakeQuantize(**ACTIVATION)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.conv2d(self.pixels(x), self.weight(self.layer.weight), self.layer.bias)
        found: Tensor = self.answers(x)
        self.answers.update_range()
        return found


def test_no_number_is_read_from_a_device_in_a_forward_and_a_backward_pass() -> None:
    net = Net().to("meta")
    for _ in range(2):  # the first sets the range, which then moves
        with reads() as found:
            net(torch.rand(2, 3, 8, 8, device="meta")).square().sum().backward()
        assert found.count == 0
    with reads() as found:
        net.answers.scale.item()
    assert found.count == 1


def test_no_number_is_read_from_a_device_in_training_a_prepared_program() -> None:
    prepared = prepare(fold(normalized(Mobile()), image_inputs(3, SIZE, SIZE)), Scheme())
    calibrate(prepared, batches(8, 4))
    prepared.train().to("meta")
    with reads() as found:
        given = answers(prepared(pixels(4).to("meta")))
        torch.cat([each.flatten(1) for each in given], 1).sum().backward()
    assert found.count == 0


def _exact(x: Tensor, scale: float, zero_point: int, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Rounding and its gradient with numbers that were read."""
    low, high = -128 - zero_point, 127 - zero_point
    levels = (x * (1.0 / scale)).round().clamp(low, high)
    inside = torch.ops.aten.hardtanh_backward(
        gradient, x, (low - 0.5) * scale, (high + 0.5) * scale
    )
    return levels * scale, inside


@settings(max_examples=60, deadline=None)
@given(
    scale=some.floats(2.0**-20, 1e3, width=32), zero_point=some.integers(-128, 127),
    seed=some.integers(0, 1000), channels_last=some.booleans(),
)  # fmt: skip
def test_rounding_is_to_the_bit_what_numbers_that_are_read_give(
    scale: float, zero_point: int, seed: int, channels_last: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(3, 4, 5, 6, generator=generator) * scale * 150
    edges = torch.tensor([-128.5, -128, -127.5, 126.5, 127, 127.5]) - zero_point
    values[0, 0, 0] = edges * scale
    values[0, 0, 1] = torch.nextafter(edges * scale, torch.tensor(torch.inf))
    values[0, 0, 2] = torch.tensor([torch.inf, -torch.inf, 0.0, -0.0, 1e38, -1e38])
    if channels_last:
        values = values.contiguous(memory_format=torch.channels_last)
    values.requires_grad_()
    gradient = torch.randn(3, 4, 5, 6, generator=generator)
    wanted, passed = _exact(values.detach(), scale, zero_point, gradient)
    for bounds in (fake_quantize._bounds, _as_on_a_device):
        values.grad = None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fake_quantize, "_bounds", bounds)
            rounded = FixedFakeQuantize(scale, zero_point, **ACTIVATION)(values)
            rounded.backward(gradient)
        assert torch.equal(rounded, wanted)
        assert values.grad is not None
        assert torch.equal(values.grad, passed)


def _as_on_a_device(least: Tensor, most: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
    return least.to(of.dtype), most.to(of.dtype)


def test_a_range_that_moves_leaves_the_gradient_of_an_earlier_batch() -> None:
    rounding = ActivationFakeQuantize(**ACTIVATION)
    rounding.momentum = 1.0
    x = torch.tensor([[-1.0, 0.5, 1.0]])
    rounding(x)
    rounding.update_range()
    first = (x * 0.9).requires_grad_()
    given = rounding(first)
    rounding(x * 0.1)
    rounding.update_range()
    given.sum().backward()
    assert first.grad is not None and first.grad.tolist() == [[1.0, 1.0, 1.0]]


def test_switches_are_kept_by_copies_and_states() -> None:
    off, on = (ActivationFakeQuantize(**ACTIVATION) for _ in range(2))
    off.disable_fake_quant()
    off.disable_observer()
    assert not copy.deepcopy(off).rounds
    on.load_state_dict(off.state_dict())
    assert (on.rounds, on.observes) == (False, False)
    x = torch.rand(2, 3)
    assert on(x) is x


def test_a_range_that_nothing_was_seen_for_leaves_scale_and_zero_point() -> None:
    rounding = ActivationFakeQuantize(**ACTIVATION)
    rounding.scale.fill_(0.5)
    rounding.zero_point.fill_(7)
    rounding.derive()
    assert (rounding.scale.tolist(), rounding.zero_point.tolist()) == ([0.5], [7])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_rounds_as_the_processor_does_and_waits_for_nothing() -> None:
    net = Net().eval()
    there = copy.deepcopy(net).cuda()
    x = torch.rand(2, 3, 8, 8)
    rounding: FakeQuantize = net.pixels
    assert torch.equal(there.pixels(x.cuda()).cpu(), rounding(x))
    there(x.cuda())
    torch.cuda.set_sync_debug_mode("error")
    try:
        there(x.cuda(non_blocking=True)).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
