"""Small nets of many kinds, and made-up photos that they can learn to tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE, CLASSES = 64, 4


def photos(split: str) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Stripes of four widths and directions in noise; 240 to learn from, 120 to test."""
    random = np.random.default_rng(len(split))
    down, along = np.mgrid[:SIZE, :SIZE] / SIZE
    for number in range({"train": 240, "test": 120}[split]):
        label = number % CLASSES
        angle = np.pi * (label / CLASSES + random.normal(0, 0.03))
        wave = np.sin(2 * np.pi * (4 + 2 * label) * (along * np.cos(angle) + down * np.sin(angle)))
        colour = random.uniform(0.3, 1.0, 3)
        image = 0.5 + 0.3 * wave[..., None] * colour + random.normal(0, 0.1, (SIZE, SIZE, 3))
        yield (255 * image.clip(0, 1)).astype(np.uint8), label


def make(classes: int, kind: str) -> Any:
    return KINDS[kind](classes)


def _dense(classes: int) -> Any:
    from torchvision.models import DenseNet

    return DenseNet(growth_rate=8, block_config=(2, 4, 2), num_init_features=16, bn_size=2,
                    num_classes=classes)  # fmt: skip


def _vision_transformer(classes: int) -> Any:
    from torchvision.models import VisionTransformer

    return VisionTransformer(image_size=SIZE, patch_size=16, num_layers=2, num_heads=2,
                             hidden_dim=64, mlp_dim=128, num_classes=classes)  # fmt: skip


def _convolution(inputs: int, outputs: int, stride: int = 1) -> Any:
    from torch import nn

    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU())  # fmt: skip


def _transposed(classes: int) -> Any:
    """Down, up by a transposed convolution, and a classifier over what was pooled."""
    from torch import nn

    return nn.Sequential(
        _convolution(3, 16, 2), _convolution(16, 32, 2),
        nn.ConvTranspose2d(32, 16, 2, 2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, classes),
    )  # fmt: skip


def _recurrent(classes: int) -> Any:
    """A GRU that reads columns of features from left to right."""
    from torch import nn

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(_convolution(3, 16, 2), _convolution(16, 32, 4))
            self.reader = nn.GRU(32, 32, batch_first=True)
            self.head = nn.Linear(32, classes)

        def forward(self, pixels: Any) -> Any:
            read, _ = self.reader(self.stem(pixels).mean(2).transpose(1, 2))
            return self.head(read[:, -1])

    return Reader()


KINDS: dict[str, Callable[[int], Any]] = {
    "dense": _dense,
    "vision_transformer": _vision_transformer,
    "transposed": _transposed,
    "recurrent": _recurrent,
}
NETS: dict[str, dict[str, Any]] = {
    "MobileNetV2": {"family": "torchvision", "name": "mobilenet_v2"},
    "MobileNetV3-small": {"family": "torchvision", "name": "mobilenet_v3_small"},
    "MobileNetV4-conv-small": {"family": "timm", "name": "mobilenetv4_conv_small"},
    "EfficientNet-Lite0": {"family": "timm", "name": "efficientnet_lite0"},
    "ShuffleNetV2 x0.5": {"family": "torchvision", "name": "shufflenet_v2_x0_5"},
    "GhostNet": {"family": "timm", "name": "ghostnet_050"},
    "RepVGG-A0": {"family": "timm", "name": "repvgg_a0"},
    "RegNetY-400MF": {"family": "torchvision", "name": "regnet_y_400mf"},
    "ConvNeXt-atto": {"family": "timm", "name": "convnext_atto"},
    "DenseNet, small": {"family": "function", "args": {"kind": "dense"}},
    "ViT, small": {"family": "function", "args": {"kind": "vision_transformer"}},
    "transposed convolution": {"family": "function", "args": {"kind": "transposed"}},
    "GRU": {"family": "function", "args": {"kind": "recurrent"}},
}
"""Each as a recipe's `student`; those of the family `function` are made here."""
for _net in NETS.values():
    if _net["family"] == "function":
        _net["function"] = "benchmarks.nets:make"
