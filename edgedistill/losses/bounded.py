"""The labels of a regression, as far as the teacher knows them better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from edgedistill.losses.base import BoundLoss, LossCommon, ModelPair

if TYPE_CHECKING:
    from torch import Tensor


class Bounded(LossCommon):
    """Regression: the squared error to the labels, where the student is not yet better than the
    teacher by a margin (Chen et al. 2017)."""

    kind: Literal["bounded"]
    margin: float = Field(default=0.0, ge=0.0, le=1e12)
    """Of the squared error, summed over a sample's values."""

    @property
    def reads_answers(self) -> bool:
        """Always: the teacher's error decides."""
        return True

    @property
    def option(self) -> str:
        """Of regressions alone."""
        return "bounded"

    def bind(self, models: ModelPair) -> BoundLoss:
        """Of outputs and labels (batch, values), as far as the teacher is trusted."""
        return BoundLoss(
            lambda b: b.trusted(bounded(b.logits, b.by_teacher(), b.target, self.margin))
        )


def bounded(student: Tensor, teacher: Tensor, target: Tensor, margin: float) -> Tensor:
    """(batch,): squared error to the target, counted only where the student is not yet better than
    the teacher by `margin` (Chen et al. 2017, "Learning Efficient Object Detection Models with
    Knowledge Distillation", eq. 5). student, teacher, target: (batch, values)."""
    from edgedistill.tasks.regression import squared

    own, other = squared(student, target), squared(teacher, target)
    return own * (own + margin > other)
