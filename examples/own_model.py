"""A student of one's own, for own_model.yaml: any torch module that gives logits will do."""

from __future__ import annotations

from torch import Tensor, nn


class Separable(nn.Module):
    """Depthwise-separable blocks with residual sums (Howard et al. 2017, MobileNets)."""

    def __init__(self, classes: int, width: int, blocks: int) -> None:
        super().__init__()
        self.stem = _layer(1, width, kernel=3, stride=2)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                _layer(width, width, kernel=3, groups=width), _layer(width, width, kernel=1)
            )
            for _ in range(blocks)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (batch, 1, height, width) in 0..1; gives logits (batch, classes)."""
        x = self.stem(pixels)
        for block in self.blocks:
            x = x + block(x)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def separable(classes: int, width: int = 16, blocks: int = 3) -> nn.Module:
    return Separable(classes, width, blocks)


def _layer(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
