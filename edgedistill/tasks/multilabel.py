"""Any number of labels for each sample: one yes or no for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.tasks.base import Task
from edgedistill.tasks.labels import ManyClasses
from edgedistill.tasks.regression import known_values

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]


class Multilabel(Task):
    """Outputs are logits (samples, classes); labels the same shape, 1 or 0, NaN where unknown."""

    name = "multilabel"
    metric = "mean average precision"
    labels = ManyClasses()
    agreement_called = "the same labels"
    mixes = True

    def quality(self, outputs: Array, labels: Array) -> float:
        """Mean average precision of logits (samples, classes) against labels of that shape."""
        return mean_average_precision(outputs, labels)

    def constant(self, labels: Array) -> float:
        """The mean over the classes of the share of samples that have it; labels: (samples,
        classes)."""
        return constant(labels)

    def agreement(self, outputs: Array, reference: Array) -> float:
        """(samples, classes) each: the share with the same set of labels."""
        return agreement(outputs, reference)

    def scores(self, outputs: Array) -> Array:
        """A sigmoid for each class: (samples, classes), each in 0..1."""
        return sigmoid(outputs)

    def reading(self, temperature: float) -> str:
        """The probabilities; no temperature is fitted."""
        return "sigmoid(real) is each label's probability"

    def label_loss(self, outputs: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Binary cross entropy to (batch, classes), the mean over them, not smoothed."""
        return binary_cross_entropy(outputs, target)

    def teacher_loss(
        self, outputs: Tensor, teacher: Tensor, temperature: float, standardize: bool
    ) -> Tensor:
        """Of each class's yes or no, the mean, (batch,), of logits (batch, classes); see `binary`.
        Never standardized."""
        return binary(outputs, teacher, temperature)


def mean_average_precision(logits: Array, labels: Array) -> float:
    """The mean over the classes of the area under precision and recall, in percent; classes that
    no sample has do not count, nor samples whose labels are unknown (NaN).

    labels: (samples, classes), 0 or 1.
    """
    from sklearn.metrics import average_precision_score

    known = ~np.isnan(labels).any(axis=1)
    logits, wanted = logits[known], labels[known] > 0.5
    each = [
        average_precision_score(wanted[:, number], logits[:, number])
        for number in np.flatnonzero(wanted.any(axis=0))
    ]
    return float(100.0 * np.mean(each)) if each else float("nan")


def constant(labels: Array) -> float:
    """The mean average precision of scores that are the same for all samples, in percent: the share
    of the samples that a class belongs to. labels: (samples, classes)."""
    shares = (labels[~np.isnan(labels).any(axis=1)] > 0.5).mean(axis=0)
    there = shares > 0
    return float(100.0 * shares[there].mean()) if there.any() else float("nan")


def agreement(logits: Array, reference: Array) -> float:
    """Share of samples that are given the same set of labels, at a probability of one half, by
    logits (samples, classes)."""
    return float(((logits > 0) == (reference > 0)).all(axis=1).mean())


def sigmoid(logits: Array) -> Array:
    """The probability of each class, (samples, classes)."""
    # Half a tanh, which does not overflow.
    shares: Array = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return shares


def binary_cross_entropy(student: Tensor, target: Tensor) -> Tensor:
    """(batch,) of logits (batch, classes) and a target of 0 or 1 for each, the mean over the
    classes; nothing where the target is NaN, unknown."""
    from torch.nn import functional as F

    known, wanted = known_values(target)
    each = F.binary_cross_entropy_with_logits(student, wanted, reduction="none")
    return each.mean(dim=1) * known


def binary(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The KL divergence for labels that do not exclude each other: of one Bernoulli distribution
    for each class, their mean, times T^2. Logits (batch, classes), float32; gives (batch,)."""
    from torch.nn import functional as F

    s, t = student / temperature, teacher / temperature
    yes = t.sigmoid() * (F.logsigmoid(t) - F.logsigmoid(s))
    no = (-t).sigmoid() * (F.logsigmoid(-t) - F.logsigmoid(-s))
    return (yes + no).mean(dim=1) * temperature**2
