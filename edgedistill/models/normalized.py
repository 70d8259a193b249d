"""Normalization as a part of the model, so that an app feeds plain pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class Normalized(nn.Module):
    """`model((pixels - mean) / std)`; pixels: (batch, channels, height, width) in 0..1."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What `model` gives, such as logits (batch, classes)."""
        logits: torch.Tensor = self.model((pixels - self.mean) / self.std)
        return logits


class Spread(Normalized):
    """`model((pixels - mean) / std)` of grey pixels (batch, 1, height, width) for a model of
    several channels, each of which sees the same image in its own normalization.

    The model itself stays as it was. Summing the first layer's weights over its channels would be
    another network wherever that layer pads: its zeros stand for another grey in each channel.
    """

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(model, mean, std)
        self.spread = _Spreading(self.mean.flatten(), self.std.flatten())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What `model` gives; pixels: (batch, 1, height, width) in 0..1."""
        logits: torch.Tensor = self.model(self.spread(pixels))
        return logits


class _Spreading(nn.Module):
    """A 1x1 convolution, which every runtime has an integer kernel for. Its values are no
    parameters: they are not trained."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", (1 / std).view(-1, 1, 1, 1))
        self.register_buffer("bias", -mean / std)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(pixels, self.weight, self.bias)
