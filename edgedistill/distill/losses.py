"""Losses that a student trains on. Each takes logits (batch, classes) and gives a scalar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgedistill.recipe import Labels, Loss, SoftTargets

if TYPE_CHECKING:
    from torch import Tensor


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL(teacher || student) of the softened distributions, times T^2 so that its gradient keeps
    its size as T grows (Hinton et al. 2015, section 2).

    student, teacher: logits (batch, classes), float32. Returns the mean over the batch.
    """
    from torch.nn import functional as F

    student_log = F.log_softmax(student / temperature, dim=1)
    teacher_log = F.log_softmax(teacher / temperature, dim=1)
    divergence = F.kl_div(student_log, teacher_log, log_target=True, reduction="batchmean")
    return divergence * temperature**2


def labels(student: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with integer labels (batch,)."""
    from torch.nn import functional as F

    return F.cross_entropy(student, target, label_smoothing=smoothing)


def needs_teacher(losses: Sequence[Loss]) -> bool:
    """Whether any of the losses with a weight asks for the teacher's answers."""
    return any(isinstance(loss, SoftTargets) and loss.weight > 0 for loss in losses)


def total(
    losses: Sequence[Loss], student: Tensor, target: Tensor, teacher: Tensor | None
) -> Tensor:
    """The weighted sum of a recipe's losses. Terms of weight zero are not computed."""
    value = student.new_zeros(())
    for loss in losses:
        if loss.weight == 0:
            continue
        if isinstance(loss, SoftTargets):
            assert teacher is not None, "a soft-target loss was planned without answers"
            value = value + loss.weight * soft_targets(student, teacher, loss.temperature)
        elif isinstance(loss, Labels):
            value = value + loss.weight * labels(student, target, loss.smoothing)
    return value
