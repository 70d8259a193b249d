"""Small networks with the features that folding and quantizing must get right."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.models.normalized import Normalized

SIZE = 8


class Block(nn.Module):
    def __init__(self, before: int, after: int, shortcut: str) -> None:
        super().__init__()
        stride = 2 if after != before else 1
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.grow = after - before
        self.short = (
            nn.Sequential(nn.Conv2d(before, after, 1, 2, bias=False), nn.BatchNorm2d(after))
            if shortcut == "conv" and self.grow
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.short is not None:
            x = self.short(x)
        elif self.grow:
            half = self.grow // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.grow - half))
        return functional.relu(x + y)


class Residual(nn.Module):
    def __init__(self, shortcut: str = "pad") -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(Block(8, 8, shortcut), Block(8, 16, shortcut))
        self.drop = nn.Dropout(0.2)
        self.linear = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(functional.relu(self.bn(self.stem(x)), inplace=True))
        logits: Tensor = self.linear(self.drop(x.mean((2, 3))))
        return logits


class Mobile(nn.Module):
    """A depthwise convolution, hardswish, squeeze-and-excitation and adaptive pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish(True))
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8))
        self.squeeze = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1))
        self.gate = nn.Hardsigmoid()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu6(self.depthwise(self.stem(x)))
        x = x * self.gate(self.squeeze(functional.adaptive_avg_pool2d(x, 1)))
        logits: Tensor = self.linear(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))
        return logits


def lively(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights and batch statistics, as a trained network has them; evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            bound = (3 / module.weight[0].numel()) ** 0.5
            module.weight.data.uniform_(-bound, bound, generator=generator)
            if module.bias is not None:
                module.bias.data.uniform_(-0.3, 0.3, generator=generator)
    return model.eval()


def normalized(model: nn.Module) -> nn.Module:
    return lively(Normalized(model, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def pixels(count: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, SIZE, SIZE, generator=generator)


def batches(count: int, size: int) -> list[tuple[Tensor, ...]]:
    """Images in batches, as calibration takes them."""
    return [(some,) for some in pixels(count).split(size)]
