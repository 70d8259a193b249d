"""Small networks of the kinds that pruning has to get right."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def block(
    inputs: int, outputs: int, kernel: int = 3, groups: int = 1, stride: int = 1
) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Net(nn.Module):
    """A stem of 16 channels, a body that keeps as many, and a classifier."""

    def __init__(self, body: nn.Module, width: int = 16, last: int | None = None) -> None:
        super().__init__()
        self.stem = block(3, width, stride=2)
        self.body = body
        self.last = nn.Linear(last or width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.stem(x))
        found: Tensor = self.last(x.mean((2, 3)) if x.dim() == 4 else x.mean(1))
        return found


class Thrice(nn.Module):
    """One block that is called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.block = block(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.block(self.block(self.block(x)) + x)
        return found


class Residual(nn.Module):
    """What ResNeXt and RegNet are made of: a grouped convolution between two plain ones."""

    def __init__(self, groups: int = 4, width: int = 32, outside: int = 16) -> None:
        super().__init__()
        self.first, self.last = block(outside, width, 1), block(width, outside, 1)
        self.middle = block(width, width, 3, groups)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.last(self.middle(self.first(x)))
        return found


class Shuffled(nn.Module):
    """ShuffleNetV2's block: half of the channels go through, then both are mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(block(8, 32, 1), block(32, 32, 3, 32), block(32, 8, 1))

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        x = torch.cat((kept, self.branch(changed)), 1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        return x.reshape(batch, channels, height, width)


class Mixing(nn.Module):
    """Channels that are put in another order, which the dependency graph does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = block(16, 32), block(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        batch, channels, height, width = x.shape
        x = x.view(batch, 4, channels // 4, height, width).transpose(1, 2)
        found: Tensor = self.second(x.reshape(batch, channels, height, width))
        return found


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 48, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x.flatten(2).transpose(1, 2))
        return found


class Recurrent(nn.Module):
    def __init__(self, kind: str = "GRU", both: bool = True) -> None:
        super().__init__()
        self.more = block(16, 32)
        self.layer = getattr(nn, kind)(32, 8, 2, batch_first=True, bidirectional=both)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(self.more(x).mean(2).transpose(1, 2))[0]
        return found


class Lines(nn.Module):
    """One-dimensional and transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(16, 24, 2, 2)
        self.line = nn.Conv1d(24, 32, 3, padding=1)
        self.back = nn.Conv1d(32, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.line(torch.relu(self.up(x)).mean(2)))
        return torch.relu(self.back(x)).unsqueeze(3)


def normed() -> nn.Module:
    """Group norms: channels go in equal numbers from each group."""
    return nn.Sequential(
        nn.Conv2d(16, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(),
        nn.Conv2d(32, 16, 3, padding=1), nn.GroupNorm(8, 16),
    )  # fmt: skip
