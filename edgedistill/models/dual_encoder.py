"""An image and a text encoder that meet in one space, in the manner of CLIP (Radford et al. 2021,
"Learning Transferable Visual Models From Natural Language Supervision", section 2.3)."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedistill.recipe import DualEncoderModel
from edgedistill.signature import Inputs

FIRST_SCALE, LARGEST_SCALE = 1 / 0.07, 100.0
"""Of the cosines: where it starts, and what it is not to pass (Radford et al. 2021)."""
BYTES = 256


class TextEncoder(nn.Module):
    """A transformer over the bytes of a text; the mean over them, projected."""

    def __init__(self, width: int, layers: int, length: int, outputs: int) -> None:
        super().__init__()
        self.length = length
        self.embed = nn.Embedding(BYTES, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.linear = nn.Linear(width, outputs)

    def forward(self, texts: Tensor) -> Tensor:
        """texts: (batch, length), bytes, 0 where a text is over; gives (batch, outputs)."""
        over = texts == 0
        seen = self.layers(self.embed(texts) + self.place, src_key_padding_mask=over)
        there = (~over).unsqueeze(2).to(seen.dtype)
        embedded: Tensor = self.linear((seen * there).sum(1) / there.sum(1))
        return embedded


class DualEncoder(nn.Module):
    """Called with pixels it gives the images' embeddings (batch, dimensions), of any length."""

    def __init__(self, image: nn.Module, text: TextEncoder) -> None:
        super().__init__()
        self.image, self.text = image, text
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (batch, channels, height, width); gives (batch, dimensions), of any length."""
        embedded: Tensor = self.image(pixels)
        return embedded

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied by: learned, a scalar up to `LARGEST_SCALE`."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def texts(self, captions: Sequence[str]) -> Tensor:
        """(captions, dimensions), of length 1."""
        coded = torch.zeros(len(captions), self.text.length, dtype=torch.int64)
        for row, caption in zip(coded, captions, strict=True):
            values = list(caption.encode()[: self.text.length])
            row[: len(values)] = torch.tensor(values)
        return F.normalize(self.text(coded.to(self.log_scale.device)), dim=1)

    def similarities(self, images: Tensor, captions: Sequence[str]) -> Tensor:
        """(images, captions): scaled cosines of embeddings (images, dimensions)."""
        return self.scale * F.normalize(images, dim=1) @ self.texts(captions).T


def make(model: DualEncoderModel, classes: int, inputs: Inputs) -> nn.Module:
    """classes: the space's dimensions."""
    family = importlib.import_module(f"edgedistill.models.{model.image.family}")
    image = family.make(model.image, classes, inputs)
    return DualEncoder(image, TextEncoder(model.text_width, model.text_layers, model.text_length,
                                          classes))  # fmt: skip


def normalization(model: DualEncoderModel) -> None:
    """None: no weights come with it."""
