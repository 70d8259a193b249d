"""Which samples are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgedistill.losses.base import BoundLoss, ModelPair
from edgedistill.losses.samples import RelationLoss

if TYPE_CHECKING:
    from torch import Tensor


class Similarity(RelationLoss):
    """Which samples of a batch are alike (Tung and Mori 2019)."""

    kind: Literal["similarity"]

    def bind(self, models: ModelPair) -> BoundLoss:
        """Of embeddings or logits (samples, values)."""
        return self.between(models, similarity)


def similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of the batch's row-normalized similarity matrices, over batch^2 (Tung and
    Mori 2019, "Similarity-Preserving Knowledge Distillation", eq. 4). Takes features of any rank
    (batch, ...), flattened; gives a scalar."""
    from torch.nn import functional as F

    sides = []
    for each in (student, teacher):
        flat = each.flatten(1)
        sides.append(F.normalize(flat @ flat.T, dim=1))
    return (sides[0] - sides[1]).square().sum() / len(student) ** 2
