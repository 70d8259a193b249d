"""How the samples of a batch lie to each other, in the student's eyes and in the teacher's.

Each takes embeddings (batch, channels), of different channels where need be, and gives a scalar.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def distances(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss on the pairs' distances, each side's divided by its mean (Park et al. 2019,
    "Relational Knowledge Distillation", eq. 5 to 7)."""
    sides = []
    for each in (student, teacher):
        apart = _distances(each)
        apart = apart / apart.mean().clamp_min(1e-12)
        sides.append(apart)
    own, other = sides
    return F.smooth_l1_loss(own, other)


def angles(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss on the cosines of the angles that every three samples span (ibid., eq. 8 to 10).
    Works on batch^3 numbers."""
    sides = []
    for each in (student, teacher):
        towards = F.normalize(each[None] - each[:, None], dim=2)
        sides.append(torch.bmm(towards, towards.transpose(1, 2)))
    own, other = sides
    return F.smooth_l1_loss(own, other)


def similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of the batch's row-normalized similarity matrices, over batch^2 (Tung and
    Mori 2019, "Similarity-Preserving Knowledge Distillation", eq. 4). Takes features of any rank,
    flattened."""
    sides = []
    for each in (student, teacher):
        flat = each.flatten(1)
        sides.append(F.normalize(flat @ flat.T, dim=1))
    return (sides[0] - sides[1]).square().sum() / len(student) ** 2


def _distances(points: Tensor) -> Tensor:
    """Distances of the pairs i < j; the gradient of points that coincide is zero."""
    i, j = torch.triu_indices(len(points), len(points), offset=1)
    squares = (points[i] - points[j]).square().sum(dim=1)
    return torch.where(squares > 0, squares.clamp_min(1e-24), torch.ones_like(squares)).sqrt() * (
        squares > 0
    )
