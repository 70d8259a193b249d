"""What losses have in common that compare inner layers one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edgedistill.fields import Name
from edgedistill.losses.base import Batch, BoundLoss, LossCommon, ModelPair
from edgedistill.target import Frozen

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.losses.base import Shapes

    Compare = Callable[[Tensor, Tensor], Tensor]
    """A student's features and a teacher's to (batch,)."""


class Pair(Frozen):
    """Layers, by their names as `named_modules()` lists them, whose outputs are compared."""

    student: Name
    """The student's layer."""
    teacher: Name
    """The teacher's layer."""


class FeatureLoss(LossCommon):
    """A loss that compares layers of the student with layers of the teacher, pair by pair."""

    layers: Literal["auto"] | Annotated[tuple[Pair, ...], Field(min_length=1, max_length=1000)] = (
        "auto"
    )
    """`auto` pairs the last layer at each resolution that both models pass through; where they
    share none, layers at the same relative depth."""

    stages = frozenset({"distill", "prune"})

    @property
    def reads_layers(self) -> bool:
        """Always: the teacher runs along."""
        return True

    def pairs(self, models: ModelPair) -> tuple[list[tuple[str, str]], Shapes, Shapes]:
        """The layers to compare, and the shapes of all layers on either side. Raises UserError:
        there are none, or none of that name."""
        from edgedistill.losses import features

        models.check_layers(self.kind)
        own, other = models.student_shapes(), models.teacher_shapes()
        if self.layers == "auto":
            return features.paired(own, other), own, other
        pairs = [(pair.student, pair.teacher) for pair in self.layers]
        for a, b in pairs:
            features.check(a, own, "student")
            features.check(b, other, "teacher")
        return pairs, own, other


def mean_of_pairs(batch: Batch, pairs: list[tuple[str, str]], compare: list[Compare]) -> Tensor:
    """The mean over pairs of layers, a scalar, each sample as far as the teacher is trusted."""
    import torch

    each = [
        distance(batch.student_sees[own], batch.teacher_sees[other])
        for distance, (own, other) in zip(compare, pairs, strict=True)
    ]
    return batch.trusted(torch.stack(each).mean(0))


def seeing(term: Callable[[Batch], Tensor], pairs: list[tuple[str, str]]) -> BoundLoss:
    """A term that sees both layers of each pair, and gives a scalar."""
    return BoundLoss(term, tuple(own for own, _ in pairs), tuple(other for _, other in pairs))
