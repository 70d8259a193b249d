"""Where the windows of a recording lie that a model sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgedistill.recipe.sound import Cut

Starts = NDArray[np.int64]
"""(windows,): where each begins in its recording, in samples; below 0 where silence comes first."""

FRAME_MS = 10
LOUD_DB, ABOVE_DB, QUIET_SHARE = 30.0, 6.0, 0.2
"""Words fade by some 30 decibels before they are lost; noise that goes on all the time lies below
and is told by the quietest fifth of a clip."""
MOST_SHARE = 0.9
"""Of a clip's loudness, where its word is. A breath or a knock after it is less than the rest."""
AFTER_MS = 250
"""Of a clip after that: what is left of the word, and a tenth of a second."""


def clip_window(samples: NDArray[np.int16], length: int, cut: Cut, rate: int) -> Starts:
    """The one window of a clip. samples: (samples,), all of the clip; length: of the
    window, in samples."""
    spare = len(samples) - length
    if cut == "middle":
        start = spare // 2
    elif cut == "spoken" and spare > 0:
        end = spoken(samples, rate, length)[1] + rate * AFTER_MS // 1000
        start = int(np.clip(end - length, 0, spare))
    else:
        start = spare
    return np.array([start], np.int64)


def spoken(samples: NDArray[np.int16], rate: int, longest: int | None = None) -> tuple[int, int]:
    """From where to where most of a clip (samples,) is said: the shortest stretch with
    `MOST_SHARE` of its loudness, or of what the best stretch of at most `longest` samples has.
    Loudness is in decibels above what is `LOUD_DB` below the loudest 30 ms and `ABOVE_DB` above the
    clip's quiet, than which a fifth of it is quieter. Where nothing stands out, all of it."""
    frame = max(1, rate * FRAME_MS // 1000)
    whole = samples[: len(samples) // frame * frame].astype(np.float64).reshape(-1, frame)
    if not len(whole):
        return 0, len(samples)
    energy = np.convolve((whole**2).mean(axis=1), np.ones(3) / 3, "same")[: len(whole)]
    level = 10 * np.log10(energy + 1e-3)
    quiet = max(np.quantile(level, QUIET_SHARE) + ABOVE_DB, level.max() - LOUD_DB)
    until = np.cumsum(np.concatenate([[0.0], np.maximum(level - quiet, 0.0)]))
    frames = len(whole) if longest is None else min(max(1, longest // frame), len(whole))
    most = (until[frames:] - until[:-frames]).max()
    if not most:
        return 0, len(samples)
    starts = np.arange(len(whole))
    ends = np.searchsorted(until, until[:-1] + MOST_SHARE * most)
    lengths = np.where(ends <= len(whole), ends - starts, len(whole) + 1)
    start = int(lengths.argmin())
    return start * frame, int(ends[start]) * frame


def tiled(count: int, length: int) -> Starts:
    """Windows side by side over a recording of `count` samples; what is left at its end is in none.
    A shorter recording is one window, silence before it."""
    if count < length:
        return np.array([count - length], np.int64)
    return np.arange(0, count - length + 1, length, dtype=np.int64)


def rooms(
    starts: Starts, recordings: NDArray[np.int64], lengths: NDArray[np.int64], length: int
) -> NDArray[np.int64]:
    """(windows,): by how much each may begin later in a random view: up to where the next of the
    same recording begins, or its end, so that views come to all of it.

    starts, recordings: (windows,), in order; lengths: (recordings,), in samples.
    """
    last = np.diff(recordings, append=-1) != 0
    ends = lengths[recordings] - length
    following = np.append(starts[1:], 0)
    found: NDArray[np.int64] = np.maximum(np.where(last, ends, following) - starts, 0)
    return found
