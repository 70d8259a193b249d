"""The teacher's outputs."""

from __future__ import annotations

from typing import Literal

from edgedistill.fields import Temperature
from edgedistill.losses.base import BoundLoss, LossCommon, ModelPair


class SoftTargets(LossCommon):
    """KL divergence to the teacher at a temperature, times T^2 (Hinton et al. 2015); where any
    number of classes may be right, of each class's yes or no, the mean. In a regression the
    squared error to the teacher's values, which no temperature changes."""

    kind: Literal["soft_targets"]
    temperature: Temperature = 4.0
    """What logits are divided by: the higher, the more the unlikely classes count."""
    standardize: bool = False
    """Bring each sample's logits to mean 0 and deviation 1 first, on both sides, so that only
    their shape is copied (Sun et al. 2024)."""

    stages = frozenset({"distill", "prune", "quantize"})
    learns_from = "answers"

    @property
    def reads_answers(self) -> bool:
        """Always."""
        return True

    @property
    def option(self) -> str:
        """Standardizing, of tasks with one right class; else nothing."""
        return "standardize" if self.standardize else ""

    def bind(self, models: ModelPair) -> BoundLoss:
        """The task's `teacher_loss` of outputs (batch, values), as far as it is trusted."""
        loss, temperature, standardize = (
            models.task.teacher_loss,
            self.temperature,
            self.standardize,
        )
        return BoundLoss(
            lambda b: b.trusted(loss(b.logits, b.by_teacher(), temperature, standardize))
        )
