"""The answer to one sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgedistill.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from edgedistill.bundle.bundle import Bundle
    from edgedistill.tasks import Task


@dataclass(frozen=True)
class Prediction:
    """The answer to one sample."""

    label: str | None
    """The likeliest; None of a regression."""
    confidence: float | None
    """The label's probability, at the bundle's temperature, 0..1; None of a regression."""
    scores: dict[str, float]
    """Every label's probability; of a regression, the values by their names."""
    routed: bool = False
    """Whether the fallback answered."""


def prediction(task: Task, labels: Sequence[str], scores: np.ndarray) -> Prediction:
    """The answer to one sample; scores: (labels,)."""
    named = dict(zip(labels, map(float, scores), strict=True))
    if not task.decides:
        return Prediction(None, None, named)
    best = int(scores.argmax())
    return Prediction(labels[best], float(scores[best]), named)


def routing_threshold(bundle: Bundle, given: float | None) -> float:
    """The confidence below which a fallback is asked. Raises UserError: none is given, and none was
    chosen."""
    limit = given if given is not None else bundle.manifest["routing"].get("threshold")
    if limit is None or not bundle.task.audited:
        raise UserError(
            f"{bundle.path}: no threshold was chosen when it was compiled: that takes a "
            "classifier, and a teacher that answers on the test set",
            "give `threshold`, a confidence in 0..1",
        )
    return float(limit)


def ask_for(
    found: list[Prediction],
    unsure: np.ndarray,
    samples: np.ndarray,
    fallback: Callable[[np.ndarray], np.ndarray],
    task: Task,
    labels: Sequence[str],
) -> None:
    """Put the fallback's answers in the places of `found` that are `unsure`; samples: (samples,
    ...), what the model was asked about; fallback: some of them to logits (samples, labels)."""
    import numpy as np

    if not len(unsure):
        return
    answers = task.scores(np.asarray(fallback(samples[unsure]), dtype=np.float64))
    for place, row in zip(unsure, answers, strict=True):
        found[place] = replace(prediction(task, labels, row), routed=True)
