"""Depthwise separable convolutions over time and frequency (Zhang et al. 2017, "Hello Edge: Keyword
Spotting on Microcontrollers", section 3.5), which stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.families.sound import DepthwiseModel
from edgedistill.models.front_end import FrontEnd
from edgedistill.models.streaming import Before, Streaming, check_whole, places_of, required_samples
from edgedistill.signature import Inputs

_KERNEL = 3
"""Of the depthwise layers, in time and in frequency."""


class Block(nn.Module):
    """A depthwise 3x3 convolution and a pointwise one, each with batch norm and ReLU. It pads
    frequency and not time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            inputs, inputs, _KERNEL, padding=(0, _KERNEL // 2), groups=inputs, bias=False
        )
        self.bn1 = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, inputs, time, bands); gives (batch, outputs, time - 2, bands)."""
        x = functional.relu(self.bn1(self.depthwise(x)))
        return functional.relu(self.bn2(self.pointwise(x)))


class Pool(nn.Module):
    """A weight for each place in time and channel, batch norm and ReLU."""

    def __init__(self, width: int, places: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, (places, 1), groups=width, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, width, places, 1); gives (batch, width, 1, 1)."""
        return functional.relu(self.bn(self.conv(x)))


class DepthwiseNetwork(Streaming):
    """The front end, a convolution with strides, depthwise separable blocks, the mean over
    frequency, what `pool` makes of time, and a linear layer."""

    float_parts = ("front_end",)
    """What stays float in an int8 file: power spans more decades than integers do."""

    def __init__(self, model: DepthwiseModel, classes: int, length: int) -> None:
        """`length`: samples of a window. Raises UserError: a window is no whole number of steps, or
        shorter than what the layers see at once."""
        super().__init__()
        self.front_end = FrontEnd(model.front_end)
        width, stride = model.width, model.time_stride
        self.hop = self.front_end.hop * stride
        seen = self.front_end.seen - 1 + model.time_kernel + (_KERNEL - 1) * model.blocks * stride
        check_whole(length, self.hop, model)
        self.places = places_of(length, self.front_end.hop, stride, seen, model)
        """Outputs of the blocks in a window, over which the mean goes."""
        overlap = max(0, model.band_kernel - model.band_stride)
        self.conv = nn.Conv2d(
            1, width, (model.time_kernel, model.band_kernel), (stride, model.band_stride),
            (0, (overlap + 1) // 2), bias=False,
        )  # fmt: skip
        self.bn = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(*(Block(width, width) for _ in range(model.blocks)))
        weighed = model.pool == "depthwise"
        self.pool = Pool(width, self.places) if weighed else nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def advance(self, samples: Tensor, before: Before) -> Tensor:
        """Logits (batch, classes); see `Streaming`."""
        frames = self.front_end(samples, before).unsqueeze(1)
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        frames = before.join("frames", frames, kernel - stride, 2)
        # A step's last frame is the window's: what is left over stands at the beginning.
        frames = frames[:, :, (frames.shape[2] - kernel) % stride :]
        x = functional.relu(self.bn(self.conv(frames)))
        for number, block in enumerate(self.blocks):
            x = block(before.join(f"block{number}", x, _KERNEL - 1, 2))
        x = functional.avg_pool2d(x, (1, x.shape[3]))
        x = before.join("pool", x, self.places - 1, 2)
        logits: Tensor = self.linear(torch.flatten(self.pool(x), 1))
        return logits


def make(model: DepthwiseModel, classes: int, inputs: Inputs) -> nn.Module:
    """Its weights are drawn anew. Raises UserError: the data are no sound, or a window is no whole
    number of steps or too short."""
    return DepthwiseNetwork(model, classes, required_samples(inputs, model.family))


def normalization(model: DepthwiseModel) -> None:
    """None: the front end normalizes."""
