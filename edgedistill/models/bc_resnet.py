"""Broadcasted residual learning for keywords (Kim et al. 2021, "Broadcasted Residual Learning for
Efficient Keyword Spotting"), which streams."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.families.sound import BroadcastModel
from edgedistill.models.front_end import FrontEnd
from edgedistill.models.streaming import Before, Streaming, check_whole, places_of, required_samples
from edgedistill.models.sub_spectral import SubSpectralNorm
from edgedistill.signature import Inputs

_FIRST, _LAST = 5, 5
"""Kernels in time of the first and of the last convolution."""
_WIDTHS = (8, 12, 16, 20)
"""Of the four stages, at scale 1 (table 1)."""


class Block(nn.Module):
    """y = x + f2(x) + broadcast(f1(mean over frequency of f2(x))), figure 2: f2 a depthwise
    convolution over frequency and a sub-spectral norm, f1 a depthwise one over time, batch norm,
    swish and a pointwise one. Where it changes the width, x goes through a pointwise convolution
    first and is not added."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, dilation: int, model: BroadcastModel
    ) -> None:
        super().__init__()
        self.keep = 2 * dilation
        """Frames that the convolution over time sees beside the latest."""
        self.widen = nn.Sequential() if inputs == outputs else _pointwise(inputs, outputs)
        self.frequency = nn.Conv2d(
            outputs, outputs, (1, 3), (1, stride), (0, 1), groups=outputs, bias=False
        )
        self.norm = SubSpectralNorm(outputs, model.sub_bands)
        self.time = nn.Conv2d(
            outputs, outputs, (3, 1), dilation=(dilation, 1), groups=outputs, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs)
        self.mix = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.dropout = nn.Dropout2d(model.dropout)

    def forward(self, x: Tensor, before: Before, name: str) -> Tensor:
        """x: (batch, inputs, time, bands); gives (batch, outputs, time less what is kept, bands
        over the stride)."""
        wide = self.norm(self.frequency(self.widen(x)))
        mean = functional.avg_pool2d(wide, (1, wide.shape[3]))
        mean = before.join(name, mean, self.keep, 2)
        narrow = self.dropout(self.mix(functional.silu(self.bn(self.time(mean)))))
        late = wide.shape[2] - narrow.shape[2]
        y = wide[:, :, late:] + narrow
        return functional.relu(y if len(self.widen) else y + x[:, :, late:])


def _pointwise(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class BroadcastNetwork(Streaming):
    """The front end, a convolution, four stages of blocks, a depthwise convolution over all bands,
    a pointwise one, the mean over time, and a linear layer (table 1)."""

    float_parts = ("front_end",)
    """What stays float in an int8 file: power spans more decades than integers do."""

    def __init__(self, model: BroadcastModel, classes: int, length: int) -> None:
        """`length`: samples of a window. Raises UserError: a window is no whole number of steps, or
        shorter than what the layers see at once."""
        super().__init__()
        self.front_end = FrontEnd(model.front_end)
        stride, bands = model.time_stride, model.front_end.bands
        self.hop = self.front_end.hop * stride
        first, *widths, last = (round(each * model.scale) for each in (16, *_WIDTHS, 32))
        self.conv = nn.Conv2d(1, first, _FIRST, (stride, 2), (0, 2), bias=False)
        self.bn = nn.BatchNorm2d(first)
        stages = _stages(first, widths, model)
        self.blocks = nn.Sequential(*stages)
        self.depthwise = nn.Conv2d(
            widths[-1], widths[-1], (_LAST, bands // 8), groups=widths[-1], bias=False
        )
        self.head = _pointwise(widths[-1], last)
        self.linear = nn.Linear(last, classes)
        inner = sum(block.keep for block in stages) + _LAST - 1
        seen = self.front_end.seen - 1 + _FIRST + inner * stride
        check_whole(length, self.hop, model)
        self.places = places_of(length, self.front_end.hop, stride, seen, model)
        """Outputs of the head in a window, over which the mean goes."""

    def advance(self, samples: Tensor, before: Before) -> Tensor:
        """Logits (batch, classes); see `Streaming`."""
        frames = self.front_end(samples, before).unsqueeze(1)
        stride = self.conv.stride[0]
        frames = before.join("frames", frames, _FIRST - stride, 2)
        # A step's last frame is the window's: what is left over stands at the beginning.
        frames = frames[:, :, (frames.shape[2] - _FIRST) % stride :]
        x = functional.relu(self.bn(self.conv(frames)))
        for number, block in enumerate(self.blocks):
            x = block(x, before, f"block{number}")
        x = self.head(self.depthwise(before.join("last", x, _LAST - 1, 2)))
        x = before.join("pool", x, self.places - 1, 2)
        pooled = functional.adaptive_avg_pool2d(x, 1)
        logits: Tensor = self.linear(torch.flatten(pooled, 1))
        return logits


def _stages(inputs: int, widths: list[int], model: BroadcastModel) -> list[Block]:
    found: list[Block] = []
    stages = zip(widths, (1, 2, 2, 1), model.blocks, model.dilations, strict=True)
    for width, stride, count, dilation in stages:
        for number in range(count):
            found.append(Block(inputs, width, 1 if number else stride, dilation, model))
            inputs = width
    return found


def make(model: BroadcastModel, classes: int, inputs: Inputs) -> nn.Module:
    """Its weights are drawn anew. Raises UserError: the data are no sound, or a window is no whole
    number of steps or too short."""
    return BroadcastNetwork(model, classes, required_samples(inputs, model.family))


def normalization(model: BroadcastModel) -> None:
    """None: the front end normalizes."""
