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
AFTER_MS = 100
"""Of silence after the last of these: words fade out below what counts."""


def clip_window(samples: NDArray[np.int16], length: int, cut: Cut, rate: int) -> Starts:
    """The one window of a clip. samples: (samples,), all of the clip; length: of the
    window, in samples."""
    spare = len(samples) - length
    if cut == "middle":
        start = spare // 2
    elif cut == "spoken" and spare > 0:
        end = spoken(samples, rate)[1] + rate * AFTER_MS // 1000
        start = int(np.clip(end - length, 0, spare))
    else:
        start = spare
    return np.array([start], np.int64)


def spoken(samples: NDArray[np.int16], rate: int) -> tuple[int, int]:
    """From where to where something is said in a clip (samples,), whatever is quieter between: the
    first and the last stretch of 30 ms that is within `LOUD_DB` of the loudest, and `ABOVE_DB`
    above the clip's quiet: a fifth of its stretches is quieter than that. Where nothing stands out,
    all that is loud."""
    frame = max(1, rate * FRAME_MS // 1000)
    whole = samples[: len(samples) // frame * frame].astype(np.float64).reshape(-1, frame)
    if not len(whole):
        return 0, len(samples)
    energy = np.convolve((whole**2).mean(axis=1), np.ones(3) / 3, "same")[: len(whole)]
    loud = energy >= energy.max() / 10 ** (LOUD_DB / 10)
    clear = energy >= np.quantile(energy, QUIET_SHARE) * 10 ** (ABOVE_DB / 10)
    heard = np.flatnonzero(loud & clear if (loud & clear).any() else loud)
    return int(heard[0]) * frame, int(heard[-1] + 1) * frame


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
