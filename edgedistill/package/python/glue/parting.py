"""Long recordings parted where they are quietest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .sounds import Samples

_STEP_MS, _PAUSE_MS, _FRAME_MS = 10, 200, 30
_SILENT = 3.2e-4


def parted(samples: Samples, window: int, rate: int) -> Iterator[Samples]:
    """The pieces of samples (any number,), each of at most `window`, which one behind the other
    are all of it: cut about the quietest 200 ms of each window's second half."""
    least = min(rate, window // 2)
    while len(samples) > window:
        last = window if len(samples) >= window + least else len(samples) - least
        at = _quietest(samples[:window], window // 2, last, rate)
        yield samples[:at]
        samples = samples[at:]
    if len(samples):
        yield samples


def _quietest(samples: Samples, first: int, last: int, rate: int) -> int:
    """Of equals the latest."""
    places = np.arange(first, last + 1, max(1, rate * _STEP_MS // 1000))
    half = max(1, rate * _PAUSE_MS // 2000)
    energy = np.concatenate([[0], np.cumsum(samples.astype(np.int64) ** 2)])
    ends = np.minimum(places + half, len(samples))
    starts = np.maximum(places - half, 0)
    power = (energy[ends] - energy[starts]) / (ends - starts)
    return int(places[len(places) - 1 - np.argmin(power[::-1])])


def silent(samples: Samples, rate: int) -> bool:
    """Whether no 30 ms of samples (any number,) are above -70 decibels of full scale."""
    frame = max(1, rate * _FRAME_MS // 1000)
    square = np.zeros(-(-len(samples) // frame) * frame)
    square[: len(samples)] = samples.astype(np.float64) ** 2
    power = square.reshape(-1, frame).mean(axis=1)
    return bool(power.max(initial=0.0) <= (_SILENT * 32768) ** 2)
