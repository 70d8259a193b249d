"""A transformer over the frames of a window (Berg et al. 2021, "Keyword Transformer: A
Self-Attention Model for Keyword Spotting")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgedistill.families.sound import TransformerModel
from edgedistill.models.front_end import FrontEnd
from edgedistill.models.streaming import check_whole, places_of, required_samples
from edgedistill.signature import Inputs


class KeywordTransformer(nn.Module):
    """The front end, a linear layer of each frame, a token for the answer before them, learned
    positions, layers of attention that are normalized after each part, and a linear layer of that
    token (section 3). Where the paper has 40 cepstral coefficients, these are bands."""

    float_parts = ("front_end",)
    """What stays float in an int8 file: power spans more decades than integers do."""

    def __init__(self, model: TransformerModel, classes: int, length: int) -> None:
        """`length`: samples of a window. Raises UserError: it is no whole number of hops, or
        shorter than one place."""
        super().__init__()
        self.front_end = FrontEnd(model.front_end)
        self.frames, width = model.frames, model.width
        seen = self.front_end.seen - 1 + model.frames
        check_whole(length, self.front_end.hop, model)
        places = places_of(length, self.front_end.hop, model.frames, seen, model)
        self.embed = nn.Linear(model.front_end.bands * model.frames, width)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, places + 1, width).normal_(std=0.02))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, model.heads, 4 * width, model.dropout, "gelu", batch_first=True
            )
            for _ in range(model.layers)
        )
        self.linear = nn.Linear(width, classes)

    def forward(self, samples: Tensor) -> Tensor:
        """Logits (batch, classes) of samples (batch, window) in -1..1."""
        frames = self.front_end(samples)
        batch, count, bands = frames.shape
        frames = frames[:, count % self.frames :]
        places = frames.reshape(batch, count // self.frames, self.frames * bands)
        x = torch.cat((self.token.expand(batch, -1, -1), self.embed(places)), 1) + self.positions
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.linear(x[:, 0])
        return logits


def make(model: TransformerModel, classes: int, inputs: Inputs) -> nn.Module:
    """Its weights are drawn anew. Raises UserError: the data are no sound, or a window is no whole
    number of hops or too short."""
    return KeywordTransformer(model, classes, required_samples(inputs, model.family))


def normalization(model: TransformerModel) -> None:
    """None: the front end normalizes."""
