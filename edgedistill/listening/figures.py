"""Misses against false accepts: counted, with intervals, as a curve over thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.listening.decision import Fired, apart
from edgedistill.records.listening import Curve, CurvePoint, Heard, Hearing, Interval

Places = NDArray[np.int64]

_Z = 1.959963984540054
"""Of a normal distribution, which is 95 times out of a hundred no further from its mean."""


@dataclass(frozen=True)
class Said:
    """A keyword in long audio, in steps: it should be heard from `start` to `end`, both
    included."""

    keyword: int
    start: int
    end: int
    """The tolerance after the recording's own end is in it."""
    spoken: int
    """The recording's own end."""


@dataclass(frozen=True)
class Audio:
    """What is to be heard in long audio, and how much there is beside it."""

    said: tuple[Said, ...]
    hours: float
    """In which no keyword is due."""
    step_ms: float


@dataclass(frozen=True)
class Counted:
    """Of one keyword's detections: which were right, which were not."""

    heard: tuple[tuple[Said, int], ...]
    """With the step of its detection."""
    missed: tuple[Said, ...]
    false: Places
    """Steps of the others."""


def count(steps: NDArray[Any], said: Sequence[Said]) -> Counted:
    """Hold the detections of one keyword, steps in rising order, against when it was said, in
    order and without overlap. The first detection while it is due is right; each other one is a
    false accept, also one more of the same."""
    starts = np.searchsorted(steps, [each.start for each in said])
    heard, missed, right = [], [], []
    for each, at in zip(said, starts, strict=True):
        if at < len(steps) and steps[at] <= each.end:
            heard.append((each, int(steps[at])))
            right.append(at)
        else:
            missed.append(each)
    return Counted(tuple(heard), tuple(missed), np.delete(steps, right))


def counted(found: Sequence[Fired], audio: Audio, keywords: int) -> list[Counted]:
    """The same of each of a rule's keywords."""
    return [
        count(
            np.array([each.step for each in found if each.keyword == keyword], np.int64),
            [each for each in audio.said if each.keyword == keyword],
        )
        for keyword in range(keywords)
    ]


def figures(found: Sequence[Counted], audio: Audio, keywords: Sequence[str]) -> Heard:
    """Of what was counted of each keyword."""
    rows = tuple(_hearing(name, [one], audio) for name, one in zip(keywords, found, strict=True))
    return Heard(hours=audio.hours, keywords=rows, all=_hearing(None, found, audio))


def _hearing(name: str | None, parts: Sequence[Counted], audio: Audio) -> Hearing:
    missed = sum(len(each.missed) for each in parts)
    said = missed + sum(len(each.heard) for each in parts)
    false = sum(len(each.false) for each in parts)
    delays = [step - each.spoken for part in parts for each, step in part.heard]
    low, high = poisson(false)
    return Hearing(
        keyword=name,
        said=said,
        missed=missed,
        misses=100.0 * missed / said if said else None,
        misses_interval=wilson(missed, said) if said else None,
        false_accepts=false,
        false_accepts_per_hour=false / audio.hours,
        false_accepts_interval=(low / audio.hours, high / audio.hours),
        delay_ms=float(np.median(delays)) * audio.step_ms if delays else None,
    )


def wilson(count: int, of: int) -> Interval:
    """In percent, the 95 % score interval of a share (Wilson 1927)."""
    share, spread = count / of, _Z**2 / of
    middle = share + spread / 2
    half = math.sqrt(spread * share * (1 - share) + (spread / 2) ** 2)
    low, high = ((middle + sign * half) / (1 + spread) for sign in (-1, 1))
    return 100.0 * max(0.0, low), 100.0 * min(1.0, high)


def poisson(count: int) -> Interval:
    """The exact 95 % interval of the mean of a Poisson variable that came out as `count`
    (Garwood 1936)."""
    from scipy.special import gammaincinv

    low = float(gammaincinv(count, 0.025)) if count else 0.0
    return low, float(gammaincinv(count + 1, 0.975))


THRESHOLDS = tuple(float(1 / (1 + math.exp(-at / 8))) for at in range(-32, 81))
"""That are tried: evenly on the scale of logits, from 0.018 to 0.99995."""


def curve(
    smooth: NDArray[Any], said: Sequence[Said], hours: float, refractory: int, keyword: str
) -> Curve:
    """What each threshold gives of one keyword; smooth: (steps,), its smoothed probability."""
    points = []
    left = np.arange(len(smooth))
    for threshold in THRESHOLDS:
        left = left[smooth[left] > threshold]
        found = count(apart(left, refractory), said)
        points.append(CurvePoint(threshold, len(found.missed), len(found.false)))
    return Curve(keyword=keyword, said=len(said), hours=hours, points=tuple(points))
