"""What a student's layers see, against what the teacher's see.

Features are (batch, channels, height, width), or (batch, tokens, channels) of a transformer, or
(batch, channels).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedistill.errors import UserError, nearest
from edgedistill.losses.base import Batch
from edgedistill.losses.layers import mean_of_pairs


def as_map(features: Tensor) -> Tensor:
    """Features (batch, channels), (batch, positions, channels) or a map, as (batch, channels,
    height, width)."""
    if features.ndim == 2:
        return features[:, :, None, None]
    if features.ndim == 3:
        return features.transpose(1, 2)[:, :, :, None]
    return features


def same_size(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps (batch, channels, height, width) at the smaller one's height and width, by
    averaging."""
    size = (min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3]))
    return tuple(  # type: ignore[return-value]
        each if each.shape[2:] == size else F.adaptive_avg_pool2d(each, size) for each in (a, b)
    )


class Hint(nn.Module):
    """Squared distance to the teacher's features, through a learned 1x1 convolution from the
    student's channels to the teacher's (Romero et al. 2015, "FitNets", eq. 3), both scaled to unit
    variance of the teacher's batch so that deep and shallow pairs count alike."""

    def __init__(self, student: torch.Size, teacher: torch.Size) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels(student), channels(teacher), 1, bias=False)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(batch,)"""
        own, other = same_size(self.project(as_map(student)), as_map(teacher))
        spread = other.var().clamp_min(1e-12)
        return (own - other).square().mean(dim=(1, 2, 3)) / spread


class HintPairs(nn.Module):
    """A hint for each pair of layers: what it learns, and their mean."""

    def __init__(self, pairs: list[tuple[str, str]], hints: list[Hint]) -> None:
        super().__init__()
        self._pairs, self.hints = pairs, nn.ModuleList(hints)

    def forward(self, batch: Batch) -> Tensor:
        """A scalar, as far as the teacher is trusted."""
        return mean_of_pairs(batch, self._pairs, list(self.hints))


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of the normalized attention maps, the mean over channels of the squared
    activations (Zagoruyko and Komodakis 2017, "Paying More Attention to Attention", eq. 2 with
    p = 2); gives (batch,)."""
    own, other = same_size(as_map(student), as_map(teacher))
    maps = [F.normalize(each.square().mean(dim=1).flatten(1), dim=1) for each in (own, other)]
    return (maps[0] - maps[1]).square().sum(dim=1)


def channels(shape: torch.Size) -> int:
    """How many channels features of that shape have."""
    return int(shape[2] if len(shape) == 3 else shape[1])


def check(name: str, found: dict[str, torch.Size], side: str) -> None:
    """Raises UserError: no such layer, or its output is nothing that can be compared."""
    if name not in found:
        raise UserError(f"the {side} has no layer `{name}`", nearest(name, list(found)))
    if len(found[name]) not in (2, 3, 4):
        raise UserError(
            f"the {side}'s layer `{name}` gives {tuple(found[name])}, which cannot be projected",
            "name a layer that gives (batch, channels, height, width), (batch, tokens, channels) "
            "or (batch, channels)",
        )


def ends(found: dict[str, torch.Size]) -> list[str]:
    """The last layer at each resolution of a model's maps, from the input to the output; for a
    transformer, whose resolution never changes, its blocks."""
    maps = {name: shape for name, shape in found.items() if len(shape) == 4 and shape[2] > 1}
    last: dict[tuple[int, ...], str] = {}
    for name, shape in maps.items():
        last[tuple(shape[2:])] = name
    if len(last) > 1:
        return list(last.values())
    tokens = [name for name, shape in found.items() if len(shape) == 3]
    blocks = [name for name in tokens if name.rpartition(".")[2].isdecimal()]
    return blocks or list(last.values()) or tokens


def paired(student: dict[str, torch.Size], teacher: dict[str, torch.Size]) -> list[tuple[str, str]]:
    """Layers to compare: at the same resolution where both have it, else at the same relative
    depth. Raises UserError: one of the models has no layer with features."""
    own, other = ends(student), ends(teacher)
    for side, names in (("student", own), ("teacher", other)):
        if not names:
            raise UserError(
                f"the {side} has no layer with features to compare",
                "name the layers under `layers`, or use losses on the logits",
            )
    by_size = {tuple(teacher[name][2:]): name for name in other if len(teacher[name]) == 4}
    shared = [
        (name, by_size[tuple(student[name][2:])])
        for name in own
        if len(student[name]) == 4 and tuple(student[name][2:]) in by_size
    ]
    if shared:
        return shared
    few = min(len(own), len(other))
    depths = [(i + 1) / few for i in range(few)]
    return [
        (own[round(depth * len(own)) - 1], other[round(depth * len(other)) - 1]) for depth in depths
    ]
