"""Residual networks for small images (He et al. 2015, "Deep Residual Learning", section 4.2)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from edgedistill.models.outer import required_image_shape
from edgedistill.recipe import ResidualModel
from edgedistill.signature import Inputs


class PadShortcut(nn.Module):
    """The paper's option A: every second pixel; new channels are zero, half before, half after."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (outputs - inputs) // 2
        self.after = outputs - inputs - self.before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (batch, channels, height, width); gives fewer pixels and more channels."""
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, self.before, self.after))


class Block(nn.Module):
    """Two 3x3 convolutions and the shortcut around them, if there is one."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module | None = None
        if stride == 1 and inputs == outputs:
            self.shortcut = nn.Identity()
        elif shortcut == "pad":
            self.shortcut = PadShortcut(inputs, outputs, stride)
        elif shortcut == "conv":
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (batch, inputs, ...); gives (batch, outputs, ...), its sides over the stride."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y if self.shortcut is None else y + self.shortcut(x))


class ResidualNetwork(nn.Module):
    """Three groups of so many blocks; the second and third group halve the image."""

    def __init__(
        self,
        blocks: tuple[int, int, int],
        widths: tuple[int, int, int],
        shortcut: str,
        classes: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = _group(widths[0], widths[0], 1, blocks[0], shortcut)
        self.layer2 = _group(widths[0], widths[1], 2, blocks[1], shortcut)
        self.layer3 = _group(widths[1], widths[2], 2, blocks[2], shortcut)
        self.linear = nn.Linear(widths[2], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes) of x: (batch, channels, height, width), of any size."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: torch.Tensor = self.linear(x.mean((2, 3)))
        return logits

    def fixed_width(self) -> list[nn.Module]:
        """Layers whose outputs a padding shortcut ties together: it shifts channels, so that
        removing one of them would move the others against each other."""
        blocks = [m for m in self.modules() if isinstance(m, Block)]
        if not any(isinstance(block.shortcut, PadShortcut) for block in blocks):
            return []
        return [self.conv1, *(block.conv2 for block in blocks)]


def _group(inputs: int, outputs: int, stride: int, blocks: int, shortcut: str) -> nn.Sequential:
    """Without blocks, which the first alone may be, it gives what it takes."""
    if not blocks:
        return nn.Sequential()
    first = Block(inputs, outputs, stride, shortcut)
    return nn.Sequential(first, *(Block(outputs, outputs, 1, shortcut) for _ in range(blocks - 1)))


def make(model: ResidualModel, classes: int, inputs: Inputs) -> nn.Module:
    """Its weights are drawn anew. Raises UserError: the data are no pictures."""
    channels, _, _ = required_image_shape(inputs, "resnet_cifar")
    return ResidualNetwork(model.groups, model.widths, model.shortcut, classes, channels)


def normalization(model: ResidualModel) -> None:
    """None: no weights come with it."""
