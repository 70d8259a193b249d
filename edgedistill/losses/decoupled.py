"""The teacher's outputs, in two parts: of the label, and of the other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgedistill.fields import Temperature, Weight
from edgedistill.losses.base import BoundLoss, LossCommon, ModelPair

if TYPE_CHECKING:
    from torch import Tensor


class Decoupled(LossCommon):
    """Soft targets taken apart: how sure the teacher is of the label, and how it ranks the other
    classes, each with its own weight (Zhao et al. 2022, DKD)."""

    kind: Literal["decoupled"]
    temperature: Temperature = 4.0
    """As of `soft_targets`."""
    alpha: Weight = 1.0
    """Weight of the label's part."""
    beta: Weight = 8.0
    """Weight of the other classes' part."""

    stages = frozenset({"distill", "prune", "quantize"})
    learns_from = "answers"
    takes_mixed = False

    @property
    def reads_answers(self) -> bool:
        """Always."""
        return True

    @property
    def option(self) -> str:
        """Of tasks with one right class."""
        return "decoupled"

    def bind(self, models: ModelPair) -> BoundLoss:
        """Of logits (batch, classes) and labels (batch,), as far as the teacher is trusted."""
        settings = self.temperature, self.alpha, self.beta
        return BoundLoss(
            lambda b: b.trusted(decoupled(b.logits, b.by_teacher(), b.target, *settings))
        )


def decoupled(
    student: Tensor,
    teacher: Tensor,
    target: Tensor,
    temperature: float,
    alpha: float,
    beta: float,
) -> Tensor:
    """alpha * KL over (label, not the label) + beta * KL among the other classes, times T^2 (Zhao
    et al. 2022, "Decoupled Knowledge Distillation", eq. 7). Where the label is -1, unknown, the
    teacher's own answer stands in.

    student, teacher: logits (batch, classes), float32; target: (batch,); gives (batch,).
    """
    import torch

    from edgedistill.tasks.classification import divergence

    target = torch.where(target < 0, teacher.argmax(dim=1), target)
    sides = []
    for logits in (student / temperature, teacher / temperature):
        own = logits.gather(1, target[:, None])
        others = _without(logits, target)
        both = torch.cat([own, others.logsumexp(1, keepdim=True)], dim=1)
        sides.append((both.log_softmax(1), others.log_softmax(1)))
    (student_label, student_rest), (teacher_label, teacher_rest) = sides
    label = divergence(teacher_label, student_label)
    rest = divergence(teacher_rest, student_rest)
    return (alpha * label + beta * rest) * temperature**2


def _without(logits: Tensor, target: Tensor) -> Tensor:
    """Logits (batch, classes - 1) of the classes that are not the label."""
    import torch

    kept = torch.ones_like(logits, dtype=torch.bool).scatter(1, target[:, None], False)
    return logits[kept].view(len(logits), -1)
