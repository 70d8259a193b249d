"""A task: one file, one line of `tasks.TASKS`."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgedistill.tasks import Task
from edgedistill.tasks.labels import Values


class Ages(Task):
    """A number above zero, learned and judged by its logarithm."""

    name = "ages"
    metric = "within a tenth"
    labels = Values("give ages")
    decides = False

    def quality(self, outputs: Any, labels: Any) -> float:
        return float(100 * (np.abs(outputs - np.log(labels)) < 0.1).all(axis=1).mean())

    def constant(self, labels: Any) -> float:
        return 0.0

    def scores(self, outputs: Any) -> Any:
        return np.exp(outputs)

    def reading(self, temperature: float) -> str:
        return "exp(real) is the age"

    def label_loss(self, outputs: Any, target: Any, smoothing: float) -> Any:
        return (outputs - target.log()).abs().sum(dim=1)

    def teacher_loss(self, outputs: Any, teacher: Any, temperature: float, standard: bool) -> Any:
        return (outputs - teacher).abs().sum(dim=1)
