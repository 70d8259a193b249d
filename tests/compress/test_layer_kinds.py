"""Kinds of layers that students are made of: each is folded, quantized by both methods, and answers
like its module."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from networks import SIZE, batches, pixels
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.compress.post_training import post_training
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.program import graph_of
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme


class Images(nn.Module):
    """`layer` on channels, height and width."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.first, self.layer = nn.Conv2d(3, 8, 3, padding=1), nn.Sequential(*layers)
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(self.layer(self.first(x)).mean((2, 3)))
        return found


class Series(Images):
    """`layer` on channels and one axis."""

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(self.layer(self.first(x).flatten(2)).mean(2))
        return found


class Volumes(Images):
    """`layer` on channels, depth, height and width."""

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(self.layer(self.first(x).unsqueeze(2)).mean((2, 3, 4)))
        return found


class Tokens(Images):
    """`layer` on tokens and features."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(self.first(x)[:, :, ::2, ::2].flatten(2).transpose(1, 2))
        found: Tensor = self.linear((y[0] if isinstance(y, tuple) else y).mean(1))
        return found


class Attended(nn.MultiheadAttention):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        found: Tensor = super().forward(x, x, x)[0]
        return found


class Shuffled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        parts = x.view(count, 2, channels // 2, height, width).transpose(1, 2)
        return parts.reshape(count, channels, height, width)


KINDS: dict[str, Callable[[], nn.Module]] = {
    "BatchNorm1d": lambda: Series(nn.Conv1d(8, 8, 3), nn.BatchNorm1d(8), nn.ReLU()),
    "BatchNorm1d alone": lambda: Series(nn.ReLU(), nn.BatchNorm1d(8)),
    "BatchNorm3d": lambda: Volumes(nn.Conv3d(8, 8, 1), nn.BatchNorm3d(8), nn.ReLU()),
    "Conv1d": lambda: Series(nn.Conv1d(8, 8, 3, groups=2), nn.ReLU()),
    "ConvTranspose2d": lambda: Images(nn.ConvTranspose2d(8, 8, 2, 2), nn.BatchNorm2d(8)),
    "LayerNorm": lambda: Tokens(nn.LayerNorm(8)),
    "GroupNorm": lambda: Images(nn.GroupNorm(2, 8)),
    "InstanceNorm2d": lambda: Images(nn.InstanceNorm2d(8, affine=True)),
    "GELU": lambda: Images(nn.GELU(), nn.Conv2d(8, 8, 1)),
    "SiLU": lambda: Images(nn.SiLU(), nn.Conv2d(8, 8, 1)),
    "PReLU": lambda: Images(nn.PReLU(8), nn.Conv2d(8, 8, 1)),
    "attention": lambda: Tokens(Attended(8, 2, batch_first=True)),
    "encoder": lambda: Tokens(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)),
    "GRU": lambda: Tokens(nn.GRU(8, 8, batch_first=True)),
    "channel shuffle": lambda: Images(nn.ReLU(), Shuffled(), nn.Conv2d(8, 8, 3, groups=2)),
    "PixelShuffle": lambda: Images(nn.Conv2d(8, 32, 1), nn.PixelShuffle(2)),
}


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, "qat") for name in KINDS),
        *((name, "ptq") for name in ("Conv1d", "GELU", "attention", "channel shuffle")),
        *(
            pytest.param(name, "ptq", marks=pytest.mark.slow)
            for name in KINDS
            if name not in ("Conv1d", "GELU", "attention", "channel shuffle")
        ),
    ],
)
def test_each_kind_of_layer_is_quantized_and_answers_like_its_module(
    name: str, method: str
) -> None:
    torch.manual_seed(0)
    model = KINDS[name]().eval()
    program = fold(model, image_inputs(3, SIZE, SIZE))
    if method == "qat":
        prepared = prepare(program, Scheme())
        calibrate(prepared, batches(32, 16))
        quantized = convert(prepared)
    else:
        quantized, _ = post_training(program, Scheme(), batches(32, 16))
    with torch.no_grad():
        wanted, found = model(pixels(32)), graph_of(quantized)(pixels(32))
    assert float((found - wanted).norm() / wanted.norm()) < 0.05
