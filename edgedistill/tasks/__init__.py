"""What quality means: a task for each kind of question that a model answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgedistill.tasks import calibration, classification, multilabel, regression
from edgedistill.tasks.retrieval import Texts

Array = NDArray[Any]


@dataclass(frozen=True)
class Task:
    """Outputs are (samples, values), float32; labels as `data.splits.Split` holds them."""

    name: str
    metric: str
    """What its quality is called."""
    quality: Callable[[Array, Array], float]
    """Of outputs against labels, in percent, 100 at best; unknown labels do not count."""
    constant: Callable[[Array], float]
    """The most quality, by the labels alone, of an answer that is the same for every sample."""
    agreement: Callable[[Array, Array], float] | None
    """Share of the samples on which two outputs decide alike; None where nothing is decided."""
    scores: Callable[[Array], Array]
    """Outputs, float64, as an app reads them: probabilities, or the values themselves."""
    further: Callable[[Array, Array], dict[str, float]] = lambda outputs, labels: {}
    """More figures of outputs against labels, in percent."""


TASKS = {
    task.name: task
    for task in (
        Task("classification", "accuracy", classification.accuracy, classification.constant,
             classification.agreement, calibration.softmax),
        Task("multilabel", "mean average precision", multilabel.mean_average_precision,
             multilabel.constant, multilabel.agreement, multilabel.sigmoid),
        Task("regression", "R²", regression.r2, regression.constant, None, regression.values),
    )
}  # fmt: skip


METRICS = {name: task.metric for name, task in TASKS.items()} | {"retrieval": "recall@1"}


def task_named(name: str, texts: Texts | None = None) -> Task:
    """texts: what the images of a retrieval are compared with."""
    if name != "retrieval":
        return TASKS[name]
    assert texts is not None, "a retrieval without texts"

    def further(images: Array, labels: Array) -> dict[str, float]:
        return {
            "recall_at_5": texts.recall(images, labels, 5),
            "text_to_image_precision_at_10": texts.precision(images, labels),
        }

    return Task(
        "retrieval",
        METRICS["retrieval"],
        texts.recall,
        classification.constant,
        texts.agreement,
        texts.shares,
        further,
    )
