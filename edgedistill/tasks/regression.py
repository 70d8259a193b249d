"""One or more numbers for each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.tasks.base import Task
from edgedistill.tasks.labels import Values

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]


class Regression(Task):
    """Outputs and labels are (samples, values), in the labels' own units; NaN where unknown."""

    name = "regression"
    metric = "R²"
    labels = Values()
    loss_options = frozenset({"bounded"})
    decides = False

    def quality(self, outputs: Array, labels: Array) -> float:
        """The coefficient of determination, which may be below 0, of (samples, values) each."""
        return r2(outputs, labels)

    def constant(self, labels: Array) -> float:
        """Of the labels' own mean."""
        return 0.0

    def scores(self, outputs: Array) -> Array:
        """The values themselves, (samples, values)."""
        return outputs

    def reading(self, temperature: float) -> str:
        """The values as they are."""
        return "the real values are the answer itself, one for each label"

    def label_loss(self, outputs: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """The squared error to (batch, values), summed over them, not smoothed."""
        return squared(outputs, target)

    def teacher_loss(
        self, outputs: Tensor, teacher: Tensor, temperature: float, standardize: bool
    ) -> Tensor:
        """The squared error to the teacher's (batch, values); no temperature softens it."""
        return squared(outputs, teacher)


def r2(outputs: Array, labels: Array) -> float:
    """The coefficient of determination of (samples, values) each, in percent, the mean over the
    values: 100 where all are met, 0 for the labels' own mean, less for worse. Unknown labels (NaN)
    do not count."""
    from sklearn.metrics import r2_score

    known = ~np.isnan(labels).any(axis=1)
    return float(100.0 * r2_score(labels[known], outputs[known]))


def squared(student: Tensor, target: Tensor) -> Tensor:
    """(batch,): the squared error to target (batch, values), summed over the values; nothing where
    it is NaN, unknown."""
    known, wanted = known_values(target)
    return (student - wanted).square().sum(dim=1) * known


def known_values(target: Tensor) -> tuple[Tensor, Tensor]:
    """(batch,), 1 or 0, and the target with nothing that is no number in it: 0 times NaN is NaN."""
    missing = target.isnan()
    return (~missing.any(dim=1)).to(target.dtype), target.masked_fill(missing, 0.0)
