"""One class for each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.tasks.base import Task
from edgedistill.tasks.calibration import softmax

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]


class Classification(Task):
    """Outputs are logits (samples, classes); labels (samples,), -1 where unknown."""

    name = "classification"
    metric = "accuracy"
    fewest_names = 2
    loss_options = frozenset({"smoothing", "standardize", "decoupled", "exits", "peers"})
    audited = True
    mixes = True

    def quality(self, outputs: Array, labels: Array) -> float:
        """Top-1 accuracy of logits (samples, classes) against labels (samples,)."""
        return accuracy(outputs, labels)

    def constant(self, labels: Array) -> float:
        """Of the most frequent class, always; labels: (samples,)."""
        return constant(labels)

    def agreement(self, outputs: Array, reference: Array) -> float:
        """(samples, classes) each: the share with the same top-1."""
        return agreement(outputs, reference)

    def scores(self, outputs: Array) -> Array:
        """Softmax: (samples, classes), each row's sum 1."""
        return softmax(outputs)

    def reading(self, temperature: float) -> str:
        """The probabilities, at the temperature that was fitted."""
        return (
            f"softmax(real / temperature) are the labels' probabilities; temperature, "
            f"{temperature:.6g}, was fitted on validation images so that a confidence is as often "
            "right as it says, and changes no answer"
        )

    def label_loss(self, outputs: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Cross entropy to labels (batch,), which `smoothing` spreads over all classes."""
        return cross_entropy(outputs, target, smoothing)

    def teacher_loss(
        self, outputs: Tensor, teacher: Tensor, temperature: float, standardize: bool
    ) -> Tensor:
        """The KL divergence, (batch,), of logits (batch, classes); see `soft_targets`."""
        return soft_targets(outputs, teacher, temperature, standardize)


def accuracy(logits: Array, labels: Array) -> float:
    """Top-1 accuracy of logits (samples, classes), in percent, where the label (samples,) is known
    (not -1)."""
    known = labels >= 0
    return float(100.0 * (logits.argmax(axis=1) == labels)[known].mean())


def constant(labels: Array) -> float:
    """The accuracy of the most frequent class, always, in percent; labels: (samples,), -1
    unknown."""
    known = labels[labels >= 0]
    return float(100.0 * np.bincount(known).max() / len(known)) if len(known) else float("nan")


def agreement(logits: Array, reference: Array) -> float:
    """Share of samples with the same top-1, of logits (samples, classes)."""
    return float((logits.argmax(axis=1) == reference.argmax(axis=1)).mean())


def cross_entropy(student: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """(batch,) of logits (batch, classes) and integer labels (batch,), nothing where the label is
    -1, unknown; or labels' shares (batch, classes), of which those of unknown labels are
    missing."""
    from torch.nn import functional as F

    if target.ndim == 2:
        known = target.sum(dim=1, keepdim=True)
        target = (1.0 - smoothing) * target + smoothing * known / target.shape[1]
        return -(target * F.log_softmax(student, dim=1)).sum(dim=1)
    return F.cross_entropy(
        student, target, label_smoothing=smoothing, reduction="none", ignore_index=-1
    )


def soft_targets(
    student: Tensor, teacher: Tensor, temperature: float, standardize: bool = False
) -> Tensor:
    """KL(teacher || student) of the softened distributions, times T^2 so that its gradient keeps
    its size as T grows (Hinton et al. 2015, section 2). `standardize`: after the z-score of each
    sample's logits (Sun et al. 2024, "Logit Standardization in Knowledge Distillation", eq. 9).

    student, teacher: logits (batch, classes), float32; gives (batch,).
    """
    from torch.nn import functional as F

    if standardize:
        student, teacher = z_score(student), z_score(teacher)
    student_log = F.log_softmax(student / temperature, dim=1)
    teacher_log = F.log_softmax(teacher / temperature, dim=1)
    return divergence(teacher_log, student_log) * temperature**2


def z_score(logits: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Each sample's logits (batch, classes) at mean 0 and deviation 1."""
    centred = logits - logits.mean(dim=1, keepdim=True)
    deviation = (centred.square().mean(dim=1, keepdim=True) + epsilon**2).sqrt()
    return centred / (deviation + epsilon)


def divergence(teacher_log: Tensor, student_log: Tensor) -> Tensor:
    """KL(teacher || student), (batch,), of logarithms of probabilities (batch, classes)."""
    return (teacher_log.exp() * (teacher_log - student_log)).sum(dim=1)
