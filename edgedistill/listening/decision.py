"""The rule by which a keyword counts as heard: NumPy alone, as an app would write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.records.listening import Rule

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Fired:
    """A keyword that was heard."""

    step: int
    keyword: int
    """Its number in the rule."""
    confidence: float
    """The smoothed probability."""


class Decider:
    """The rule on a stream of probabilities, in whatever pieces these come."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._smooth = Smoothing(rule.smoothing, len(rule.keywords))
        self._step = 0
        self._last: list[int | None] = [None] * len(rule.keywords)

    def feed(self, probabilities: NDArray[Any]) -> list[Fired]:
        """What is heard in the next steps, in order. probabilities: (steps, keywords), of the
        rule's keywords alone, in 0..1."""
        if not len(probabilities):
            return []
        smooth = self._smooth(probabilities)
        found = []
        for keyword, threshold in enumerate(self._rule.thresholds):
            above = self._step + np.flatnonzero(smooth[:, keyword] > threshold)
            for step in apart(above, self._rule.refractory, self._last[keyword]):
                confidence = float(smooth[step - self._step, keyword])
                found.append(Fired(int(step), keyword, confidence))
                self._last[keyword] = int(step)
        self._step += len(smooth)
        return sorted(found, key=lambda each: (each.step, each.keyword))


class Smoothing:
    """The mean over the last steps, zero before the first one."""

    def __init__(self, steps: int, columns: int) -> None:
        self._before = np.zeros((steps - 1, columns))

    def __call__(self, values: NDArray[Any]) -> Floats:
        """(steps, columns), smoothed; the same bits in whatever pieces the steps come, as each is
        summed from the oldest to the newest."""
        whole = np.concatenate([self._before, values.astype(np.float64)])
        count, before = len(values), len(self._before)
        total = np.zeros(values.shape)
        for back in range(before + 1):
            total += whole[back : back + count]
        self._before = whole[len(whole) - before :]
        total /= before + 1
        return total


def apart(steps: Places, refractory: int, last: int | None = None) -> Places:
    """Of steps in rising order the first, and each time the first that comes more than `refractory`
    after the one taken before it; last: a step taken earlier."""
    taken = []
    at = 0 if last is None else int(np.searchsorted(steps, last + refractory, side="right"))
    while at < len(steps):
        taken.append(steps[at])
        at = int(np.searchsorted(steps, steps[at] + refractory, side="right"))
    return np.array(taken, np.int64)
