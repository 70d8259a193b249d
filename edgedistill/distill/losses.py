"""What a student's answers to a batch are worth, sample by sample.

Each loss takes logits (batch, classes), or a regression's values (batch, values), float32, and
gives (batch,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgedistill.recipe import Attention, Bounded, Decoupled, Hints, Loss, SoftTargets

if TYPE_CHECKING:
    from torch import Tensor


def labels(student: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross entropy with integer labels (batch,); nothing where the label is -1, unknown."""
    from torch.nn import functional as F

    return F.cross_entropy(
        student, target, label_smoothing=smoothing, reduction="none", ignore_index=-1
    )


def binary_labels(student: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy with target (batch, classes), each 0 or 1, the mean over the classes;
    nothing where it is NaN, unknown."""
    from torch.nn import functional as F

    known, wanted = _known(target)
    each = F.binary_cross_entropy_with_logits(student, wanted, reduction="none")
    return each.mean(dim=1) * known


def squared(student: Tensor, target: Tensor) -> Tensor:
    """The squared error to target (batch, values), summed over the values; nothing where it is
    NaN, unknown."""
    known, wanted = _known(target)
    return (student - wanted).square().sum(dim=1) * known


def _known(target: Tensor) -> tuple[Tensor, Tensor]:
    """(batch,), 1 or 0, and the target with nothing that is no number in it: 0 times NaN is NaN."""
    missing = target.isnan()
    return (~missing.any(dim=1)).to(target.dtype), target.masked_fill(missing, 0.0)


def soft_targets(
    student: Tensor, teacher: Tensor, temperature: float, standardize: bool = False
) -> Tensor:
    """KL(teacher || student) of the softened distributions, times T^2 so that its gradient keeps
    its size as T grows (Hinton et al. 2015, section 2). `standardize`: after the z-score of each
    sample's logits (Sun et al. 2024, "Logit Standardization in Knowledge Distillation", eq. 9).
    """
    from torch.nn import functional as F

    if standardize:
        student, teacher = z_score(student), z_score(teacher)
    student_log = F.log_softmax(student / temperature, dim=1)
    teacher_log = F.log_softmax(teacher / temperature, dim=1)
    return _divergence(teacher_log, student_log) * temperature**2


def z_score(logits: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Each sample's logits at mean 0 and deviation 1."""
    centred = logits - logits.mean(dim=1, keepdim=True)
    deviation = (centred.square().mean(dim=1, keepdim=True) + epsilon**2).sqrt()
    return centred / (deviation + epsilon)


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
    teacher's own answer stands in."""
    import torch

    target = torch.where(target < 0, teacher.argmax(dim=1), target)
    sides = []
    for logits in (student / temperature, teacher / temperature):
        own = logits.gather(1, target[:, None])
        others = _without(logits, target)
        both = torch.cat([own, others.logsumexp(1, keepdim=True)], dim=1)
        sides.append((both.log_softmax(1), others.log_softmax(1)))
    (student_label, student_rest), (teacher_label, teacher_rest) = sides
    label = _divergence(teacher_label, student_label)
    rest = _divergence(teacher_rest, student_rest)
    return (alpha * label + beta * rest) * temperature**2


def _without(logits: Tensor, target: Tensor) -> Tensor:
    """Logits (batch, classes - 1) of the classes that are not the label."""
    import torch

    kept = torch.ones_like(logits, dtype=torch.bool).scatter(1, target[:, None], False)
    return logits[kept].view(len(logits), -1)


def binary(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The KL divergence for labels that do not exclude each other: of one Bernoulli distribution
    for each class, their mean, times T^2."""
    from torch.nn import functional as F

    s, t = student / temperature, teacher / temperature
    yes = t.sigmoid() * (F.logsigmoid(t) - F.logsigmoid(s))
    no = (-t).sigmoid() * (F.logsigmoid(-t) - F.logsigmoid(-s))
    return (yes + no).mean(dim=1) * temperature**2


def bounded(student: Tensor, teacher: Tensor, target: Tensor, margin: float) -> Tensor:
    """Squared error to the target, counted only where the student is not yet better than the
    teacher by `margin` (Chen et al. 2017, "Learning Efficient Object Detection Models with
    Knowledge Distillation", eq. 5). student, teacher, target: (batch, values)."""
    own, other = squared(student, target), squared(teacher, target)
    return own * (own + margin > other)


def needs_answers(wanted: Sequence[Loss]) -> bool:
    """Whether any loss with a weight reads the teacher's logits."""
    return any(
        isinstance(loss, SoftTargets | Decoupled | Bounded) or getattr(loss, "of", "") == "logits"
        for loss in wanted
        if loss.weight > 0
    )


def needs_layers(wanted: Sequence[Loss]) -> bool:
    """Whether any loss with a weight looks into the teacher while it runs."""
    return any(
        isinstance(loss, Hints | Attention) or getattr(loss, "of", "") == "embedding"
        for loss in wanted
        if loss.weight > 0
    )


def _divergence(teacher_log: Tensor, student_log: Tensor) -> Tensor:
    return (teacher_log.exp() * (teacher_log - student_log)).sum(dim=1)
