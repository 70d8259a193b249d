"""Fake quantization: tensors rounded in training exactly as the integers will round them.

torch's fused observe-and-round operator is correct but runs on one value at a time on a CPU; the
same arithmetic out of whole-tensor operators takes about a fifth of its time. Scales and zero
points stay tensors where they are: a number that the host reads is one that it waits for, as all of
a GPU's queue has to run dry.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchao.quantization.pt2e.fake_quantize import FakeQuantizeBase

SMALLEST_SCALE = 2.0**-20
"""Of any tensor, so that the products and ratios of scales stay within the kernels' fixed point."""
SMALLEST_CHANNEL = 2.0**-14
"""A weight channel's scale, relative to the tensor's largest: a dead channel's bias must still fit
32 bits at the scale input * weight."""


class FakeQuantize(FakeQuantizeBase):  # type: ignore[misc]
    """What torchao's preparation and conversion ask of a fake quantizer. The scale that training
    used is the scale that is written, to the bit."""

    scale: Tensor
    zero_point: Tensor

    def __init__(
        self, dtype: torch.dtype, quant_min: int, quant_max: int, qscheme: Any, is_dynamic: bool
    ) -> None:
        super().__init__()
        self.dtype, self.qscheme, self.is_dynamic = dtype, qscheme, is_dynamic
        self.quant_min, self.quant_max, self.ch_axis = quant_min, quant_max, 0
        self.symmetric = qscheme in (torch.per_channel_symmetric, torch.per_tensor_symmetric)
        self.per_channel = qscheme in (torch.per_channel_symmetric, torch.per_channel_affine)
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.int32))
        self.rounds = self.observes = True
        """What the buffers `fake_quant_enabled` and `observer_enabled` say, where no read waits."""

    def enable_fake_quant(self, enabled: bool = True) -> None:
        """Round from now on, or pass values as they are."""
        super().enable_fake_quant(enabled)
        self.rounds = enabled

    def enable_observer(self, enabled: bool = True) -> None:
        """Watch ranges from now on, or leave them as they are."""
        super().enable_observer(enabled)
        self.observes = enabled

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.rounds, self.observes = bool(self.fake_quant_enabled), bool(self.observer_enabled)

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """(scale, zero point) of what was rounded last: (1,), or (channels,) of a weight's."""
        return self.scale, self.zero_point

    def _round(self, x: Tensor) -> Tensor:
        if not self.rounds:
            return x
        # Copies: another batch may move the range before this one's gradient comes back.
        rounded: Tensor = _Round.apply(
            x, self.scale.clone(), self.zero_point.double(), self.quant_min, self.quant_max
        )
        return rounded

    def _between(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and zero point of the range from `low` to `high`, widened to hold zero."""
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
        if self.symmetric:
            scale = torch.maximum(-low, high) / self.quant_max
            return scale.clamp(min=SMALLEST_SCALE), torch.zeros_like(scale, dtype=torch.int32)
        scale = ((high - low) / (self.quant_max - self.quant_min)).clamp(min=SMALLEST_SCALE)
        zero_point = (self.quant_min - torch.round(low / scale)).to(torch.int32)
        return scale, zero_point.clamp(self.quant_min, self.quant_max)


class ActivationFakeQuantize(FakeQuantize):
    """Rounds an activation to 8 bits; its range is a moving average of the batches' extremes.

    What a forward pass saw counts from `update_range` on, so that tensors which share a scale are
    weighed together.
    """

    low: Tensor
    high: Tensor

    def __init__(self, **scheme: Any) -> None:
        super().__init__(**scheme)
        self.momentum = 0.01
        """Weight of a new batch in the moving average."""
        self.register_buffer("low", torch.full((1,), torch.nan))
        self.register_buffer("high", torch.full((1,), torch.nan))
        self._seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        """`x`, of any shape, rounded with the scale of the last `update_range`; its extremes are
        kept for the next."""
        if self.observes:
            self._seen.append(_extremes(x.detach()))
        return self._round(x)

    def update_range(self) -> None:
        """Take what was seen since the last call into the range."""
        if not self._seen:
            return
        low = torch.stack([low for low, _ in self._seen]).amin().view(1)
        high = torch.stack([high for _, high in self._seen]).amax().view(1)
        self._seen.clear()
        fresh = self.low.isnan()
        self.low.copy_(torch.where(fresh, low, self.low))
        self.high.copy_(torch.where(fresh, high, self.high))
        self.low.lerp_(low, self.momentum)
        self.high.lerp_(high, self.momentum)
        self.derive()

    def derive(self) -> None:
        """Let scale and zero point follow from the range, wherever that came from: the mean of two
        scales and that of two zero points belong to no range at all. Without a range they stay."""
        known = ~self.low.isnan()
        scale, zero_point = self._between(self.low, self.high)
        self.scale.copy_(torch.where(known, scale, self.scale))
        self.zero_point.copy_(torch.where(known, zero_point, self.zero_point))


class SharedFakeQuantize(FakeQuantize):
    """Behind an operator that only moves values: they are rounded already, with `head`'s scale."""

    def __init__(self, head: FakeQuantize) -> None:
        low, high = head.quant_min, head.quant_max
        super().__init__(head.dtype, low, high, head.qscheme, head.is_dynamic)
        self._head = (head,)  # in a tuple, so that it is not registered twice

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """The head's (scale, zero point), (1,) each."""
        return self._head[0].calculate_qparams()

    def forward(self, x: Tensor) -> Tensor:
        """`x` as it is."""
        return x


class FixedFakeQuantize(FakeQuantize):
    """Rounds with a scale known beforehand: of pixels, or what an integer kernel prescribes."""

    def __init__(self, fixed_scale: float, fixed_zero_point: int, **scheme: Any) -> None:
        super().__init__(**scheme)
        self.scale.fill_(fixed_scale)
        self.zero_point.fill_(fixed_zero_point)

    def forward(self, x: Tensor) -> Tensor:
        """`x`, of any shape, rounded and clipped to what the scale reaches."""
        return self._round(x)


class WeightFakeQuantize(FakeQuantize):
    """Rounds a weight. Its range is always the weight's own, so nothing is clipped and the
    gradient passes unchanged."""

    def forward(self, weight: Tensor) -> Tensor:
        """The weight (outputs, ...) rounded, with one scale, or one for each output."""
        with torch.no_grad():
            scale, zero_point = self._of(weight)
            self.scale.resize_(scale.shape).copy_(scale)
            self.zero_point.resize_(zero_point.shape).copy_(zero_point)
            if not self.rounds:
                return weight
            columns = (-1, *[1] * (weight.dim() - 1)) if self.per_channel else ()
            step, zero = scale.view(columns), zero_point.view(columns)
            levels = torch.round(weight * (1.0 / step)) + zero
            rounded = (levels.clamp_(self.quant_min, self.quant_max) - zero) * step
        straight: Tensor = _Straight.apply(weight, rounded)
        return straight

    def _of(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        weight = weight.detach().float()
        if not self.per_channel:
            return self._between(weight.amin().view(1), weight.amax().view(1))
        rows = weight.flatten(1)
        scale, zero_point = self._between(rows.amin(1), rows.amax(1))
        return scale.clamp(min=scale.max() * SMALLEST_CHANNEL), zero_point

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        for name in ("scale", "zero_point"):
            if prefix + name in state_dict:
                getattr(self, name).resize_(state_dict[prefix + name].shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _extremes(x: Tensor) -> tuple[Tensor, Tensor]:
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        x = x.permute(0, 2, 3, 1)  # reducing over contiguous memory is many times faster
    return x.amin().float(), x.amax().float()


class _Round(torch.autograd.Function):
    """Quantize and dequantize; the gradient passes where nothing was clipped (straight-through,
    Bengio et al. 2013).

    scale: (1,) float32; zero_point: (1,) float64; low, high: the integers' bounds.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int
    ) -> Tensor:
        ctx.save_for_backward(x, scale, zero_point)
        ctx.bounds = low, high
        least, most = _bounds(low - zero_point, high - zero_point, x)
        return (x * (1.0 / scale)).round_().clamp_(least, most).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, scale, zero_point = ctx.saved_tensors
        low, high = ctx.bounds
        least, most = _bounds(
            (low - zero_point - 0.5) * scale, (high - zero_point + 0.5) * scale, x
        )
        if isinstance(least, float):
            passed = torch.ops.aten.hardtanh_backward(gradient, x, least, most)
        else:
            passed = gradient.masked_fill((x <= least) | (x >= most), 0.0)
        return passed, *[None] * 4


def _bounds(least: Tensor, most: Tensor, of: Tensor) -> tuple[Any, Any]:
    """As numbers on a CPU, which takes one value at a time where bounds are tensors, and where a
    read waits for nothing; anywhere else as tensors of the same type as what they bound."""
    if of.is_cpu:
        return float(least), float(most)
    return least.to(of.dtype), most.to(of.dtype)


class _Straight(torch.autograd.Function):
    """The second tensor's values with the first one's gradient."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, values: Tensor) -> Tensor:
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient, None
