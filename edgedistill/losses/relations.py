"""Distances and angles between samples.

Each formula takes embeddings (batch, channels), of different channels where need be, and gives a
scalar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgedistill.fields import Weight
from edgedistill.losses.base import BoundLoss, ModelPair
from edgedistill.losses.samples import RelationLoss

if TYPE_CHECKING:
    from torch import Tensor


class Relations(RelationLoss):
    """Distances and angles between the samples of a batch (Park et al. 2019, RKD)."""

    kind: Literal["relations"]
    distance: Weight = 1.0
    """Weight of the distances."""
    angle: Weight = 2.0
    """Weight of the angles."""

    def bind(self, models: ModelPair) -> BoundLoss:
        """Of embeddings or logits (samples, values): both terms, each with its weight."""

        def term(own: Tensor, other: Tensor) -> Tensor:
            value = own.new_zeros(())
            if self.distance:
                value = value + self.distance * distances(own, other)
            if self.angle:
                value = value + self.angle * angles(own, other)
            return value

        return self.between(models, term)


def distances(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss, a scalar, on the distances of pairs of samples (batch, channels), each side's
    divided by its mean (Park et al. 2019, "Relational Knowledge Distillation", eq. 5 to 7)."""
    from torch.nn import functional as F

    sides = []
    for each in (student, teacher):
        apart = _distances(each)
        apart = apart / apart.mean().clamp_min(1e-12)
        sides.append(apart)
    own, other = sides
    return F.smooth_l1_loss(own, other)


def angles(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss, a scalar, on the cosines of the angles that every three samples (batch, channels)
    span (ibid., eq. 8 to 10). Works on batch^3 numbers."""
    import torch
    from torch.nn import functional as F

    sides = []
    for each in (student, teacher):
        towards = F.normalize(each[None] - each[:, None], dim=2)
        sides.append(torch.bmm(towards, towards.transpose(1, 2)))
    own, other = sides
    return F.smooth_l1_loss(own, other)


def _distances(points: Tensor) -> Tensor:
    """Distances of the pairs i < j; the gradient of points that coincide is zero."""
    import torch

    i, j = torch.triu_indices(len(points), len(points), offset=1)
    squares = (points[i] - points[j]).square().sum(dim=1)
    return torch.where(squares > 0, squares.clamp_min(1e-24), torch.ones_like(squares)).sqrt() * (
        squares > 0
    )
