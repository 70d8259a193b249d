"""Long recordings parted where they are quietest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from edgedistill.data.sound.decode import Samples

STEP_MS = 10
PAUSE_MS = 200
"""What is compared is the mean power of so much: a pause between words, not a closed consonant."""


def least_piece(window: int, rate: int) -> int:
    """Samples of the shortest piece: a second, or of windows below two seconds a half of them, as
    not every recording can be parted otherwise."""
    return min(rate, window // 2)


def parted(blocks: Iterable[Samples], window: int, rate: int) -> Iterator[Samples]:
    """The pieces of a recording, each of at most `window` samples and none below `least_piece`,
    which one behind the other are all of it; a recording that is no longer is its only piece. All
    but the last are at least half a window.

    What is held in memory is little more than a window. Pieces do not depend on how the recording
    is cut into blocks.

    blocks: (samples,) each; window: 2 or more.
    """
    least = least_piece(window, rate)
    held = np.empty(0, np.int16)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= window + least:
            at = quietest(held[:window], window // 2, window, rate)
            yield held[:at]
            held = held[at:]
    if len(held) > window:
        at = quietest(held[:window], window // 2, len(held) - least, rate)
        yield held[:at]
        held = held[at:]
    if len(held):
        yield held


def quietest(samples: Samples, first: int, last: int, rate: int) -> int:
    """The place from `first` to `last` about which `PAUSE_MS` of the samples (samples,) have the
    least mean power; of equals the latest."""
    places = np.arange(first, last + 1, max(1, rate * STEP_MS // 1000))
    half = max(1, rate * PAUSE_MS // 2000)
    # In integers, so that every machine finds the same place.
    energy = np.concatenate([[0], np.cumsum(samples.astype(np.int64) ** 2)])
    ends = np.minimum(places + half, len(samples))
    starts = np.maximum(places - half, 0)
    power = (energy[ends] - energy[starts]) / (ends - starts)
    return int(places[len(places) - 1 - np.argmin(power[::-1])])
