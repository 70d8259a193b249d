"""Whether a model's answers say anything of its images."""

from __future__ import annotations

import numpy as np

from edgedistill.tasks.base import Array, Task
from edgedistill.tasks.labels import known

SHUFFLES = 19
"""One test in twenty lets answers pass that know nothing (a permutation test; Good 2005)."""


def by_chance(task: Task, outputs: Array, labels: Array) -> float:
    """The quality, in percent, that is reached without looking at the images: that of the best
    answer that is the same for all, or the most that these answers reach when they are dealt out
    to the images at random.

    outputs: (samples, values); labels: as the task has them.
    """
    seen = known(labels)
    outputs, labels = outputs[seen], labels[seen]
    random = np.random.default_rng(0)
    dealt = (
        task.quality(outputs[random.permutation(len(outputs))], labels) for _ in range(SHUFFLES)
    )
    return max(task.constant(labels), *dealt)


def chance_warning(task: Task, outputs: Array, labels: Array, advice: str) -> list[str]:
    """A sentence where the quality of outputs (samples, values) is no better than by chance, ending
    with `advice`; none where it is, or where labels that are all the same cannot tell."""
    quality = task.quality(outputs, labels)
    if not quality < 100.0 or task.constant(labels) >= 100.0:
        return []
    luck = by_chance(task, outputs, labels)
    if quality > luck:
        return []
    return [
        f"validation {task.metric} of {quality:.1f} % is at chance: without looking at the "
        f"samples, {luck:.1f} % is reached. {advice}"
    ]
