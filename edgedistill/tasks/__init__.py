"""What quality means: a task for each kind of question that a model answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgedistill.tasks import calibration, classification, multilabel, regression

Array = NDArray[Any]


@dataclass(frozen=True)
class Task:
    """Outputs are (samples, values), float32; labels as `data.splits.Split` holds them."""

    name: str
    metric: str
    """What its quality is called."""
    quality: Callable[[Array, Array], float]
    """Of outputs against labels, in percent, 100 at best; unknown labels do not count."""
    agreement: Callable[[Array, Array], float] | None
    """Share of the samples on which two outputs decide alike; None where nothing is decided."""
    scores: Callable[[Array], Array]
    """Outputs, float64, as an app reads them: probabilities, or the values themselves."""


TASKS = {
    task.name: task
    for task in (
        Task("classification", "accuracy", classification.accuracy, classification.agreement,
             calibration.softmax),
        Task("multilabel", "mean average precision", multilabel.mean_average_precision,
             multilabel.agreement, multilabel.sigmoid),
        Task("regression", "R²", regression.r2, None, regression.values),
    )
}  # fmt: skip


def task_of(data: dict[str, Any]) -> Task:
    """The task of what `data.json` describes."""
    return TASKS[data["task"]]
