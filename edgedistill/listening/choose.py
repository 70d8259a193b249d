"""Smoothing, refractory time and thresholds, chosen on validation audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.listening.decision import Smoothing
from edgedistill.listening.figures import Audio, curve
from edgedistill.records.listening import Curve, Rule

Floats = NDArray[np.floating]

COUNTED = 32
"""False accepts that a rate is told from; where there are fewer, it is told from these."""


@dataclass(frozen=True)
class Threshold:
    """A threshold on a curve, and what it gives there."""

    value: float
    missed: int
    false_accepts: int
    reserve: int
    """Thresholds of the curve side by side that are as good."""
    within: bool
    """Whether it keeps the limit."""


@dataclass(frozen=True)
class Chosen:
    """A rule, and the curves that it lies on."""

    rule: Rule
    curves: tuple[Curve, ...]
    within_limit: bool


def choose(
    probabilities: Floats,
    audio: Audio,
    keywords: Sequence[str],
    limit: float,
    smoothings: Sequence[int],
    refractories: Sequence[int],
) -> Chosen:
    """The rule that misses least with at most `limit` false accepts an hour to expect of all
    keywords together, parted among them as `shares` does. Of equally good ones that whose
    thresholds could lie elsewhere by most, then that with the least smoothing and the shortest
    refractory time.

    probabilities: (steps, keywords); smoothings, refractories: steps.
    """
    best: tuple[tuple[float, ...], Chosen] | None = None
    for smoothing in sorted(set(smoothings)):
        for refractory in sorted(set(refractories)):
            found = curves(probabilities, audio, keywords, smoothing, refractory)
            parts = shares(found, limit)
            picked = [threshold_on(each, part) for each, part in zip(found, parts, strict=True)]
            cost = _cost(picked)
            if best is None or cost < best[0]:
                rule = Rule(
                    keywords=tuple(keywords),
                    thresholds=tuple(each.value for each in picked),
                    smoothing=smoothing,
                    refractory=refractory,
                )
                best = cost, Chosen(rule, found, all(each.within for each in picked))
    assert best is not None, "nothing to choose from"
    return best[1]


def curves(
    probabilities: Floats, audio: Audio, keywords: Sequence[str], smoothing: int, refractory: int
) -> tuple[Curve, ...]:
    """For each keyword what every threshold gives; probabilities: (steps, keywords)."""
    smooth = Smoothing(smoothing, len(keywords))(probabilities)
    said = [[each for each in audio.said if each.keyword == at] for at in range(len(keywords))]
    return tuple(
        curve(smooth[:, number], said[number], audio.hours, refractory, name)
        for number, name in enumerate(keywords)
    )


def _cost(picked: Sequence[Threshold]) -> tuple[float, ...]:
    """Compared from left to right, the less the better."""
    beyond = sum(each.false_accepts for each in picked if not each.within)
    missed = sum(each.missed for each in picked)
    return beyond, missed, -min(each.reserve for each in picked)


def expected(found: Curve) -> Floats:
    """False accepts an hour to expect at each threshold, (points,): what was counted, and beyond
    the highest threshold with `COUNTED` of them at least an exponential tail on the scale of
    logits, with the mean of what lies beyond (peaks over a threshold, Pickands 1975, without a
    shape). That none were counted in half an hour says nothing of one in an hour."""
    counts = np.array([each.false_accepts for each in found.points], np.float64)
    rates: Floats = counts / found.hours
    enough = np.flatnonzero(counts >= COUNTED)
    first = int(enough[-1]) if len(enough) else 0
    if counts[first]:
        mean = counts[first + 1 :].sum() / counts[first] + 0.5
        tail = rates[first] * np.exp(-np.arange(len(counts) - first) / mean)
        rates[first:] = np.maximum(rates[first:], tail)
    return rates


def shares(found: Sequence[Curve], limit: float) -> tuple[float, ...]:
    """The false accepts an hour that each keyword may make, `limit` in all, so that the fewest are
    missed: a keyword that is never mistaken leaves its part to the others. In equal parts where the
    limit cannot be kept.

    A multiple-choice knapsack (Sinha and Zoltners 1979), solved by the least rate for each number
    of misses.
    """
    rows = [_least_rates(each) for each in found]
    totals = [np.zeros(1)]
    for row in rows:
        sums = totals[-1][:, None] + row
        missed = np.add.outer(np.arange(len(totals[-1])), np.arange(len(row)))
        best = np.full(sums.shape[0] + sums.shape[1] - 1, np.inf)
        np.minimum.at(best, missed, sums)
        totals.append(best)
    fit = np.flatnonzero(totals[-1] <= limit)
    if not len(fit):
        return (limit / len(found),) * len(found)
    left, parts = int(fit[0]), list[float]()
    for row, before in zip(reversed(rows), reversed(totals[:-1]), strict=True):
        theirs = np.arange(max(0, left - len(before) + 1), min(len(row), left + 1))
        chosen = int(theirs[np.argmin(before[left - theirs] + row[theirs])])
        parts.append(float(row[chosen]))
        left -= chosen
    return tuple(reversed(parts))


def _least_rates(found: Curve) -> Floats:
    """(most missed + 1,): the fewest false accepts an hour to expect of a threshold with that many
    misses; infinite where none has so many."""
    rates = expected(found)
    missed = np.array([each.missed for each in found.points])
    least = np.full(missed.max() + 1, np.inf)
    np.minimum.at(least, missed, rates)
    return least


def threshold_on(found: Curve, limit: float) -> Threshold:
    """Of the thresholds with at most `limit` false accepts an hour to expect one that misses least:
    the middle of the longest stretch of such. Where none keeps the limit, the highest one of those
    with the fewest false accepts."""
    rates = expected(found)
    allowed = [each for each, rate in zip(found.points, rates, strict=True) if rate <= limit]
    if not allowed:
        fewest = min(found.points, key=lambda each: (each.false_accepts, -each.threshold))
        return Threshold(fewest.threshold, fewest.missed, fewest.false_accepts, 0, within=False)
    least = min(each.missed for each in allowed)
    stretches: list[list[int]] = [[]]
    for place, each in enumerate(found.points):
        if rates[place] <= limit and each.missed == least:
            stretches[-1].append(place)
        elif stretches[-1]:
            stretches.append([])
    longest = max(stretches, key=len)
    point = found.points[longest[len(longest) // 2]]
    return Threshold(point.threshold, point.missed, point.false_accepts, len(longest), within=True)
