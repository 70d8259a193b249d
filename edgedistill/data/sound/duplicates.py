"""Sound that lies in more than one split, exactly or nearly: a test on it proves little."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image.duplicates import Twin
from edgedistill.data.image.neighbours import neighbours
from edgedistill.data.sound.split import SoundSplit
from edgedistill.data.splits import SPLITS
from edgedistill.progress import Reporter

Floats = NDArray[np.float32]

FRAME_MS, HOP_MS = 32, 8
BANDS, STEPS = 16, 8
HEARD = 1e-2
"""Frames more than 20 decibels below the loudest are no part of what is compared, at both ends."""
FLOOR = 1e-3
"""What lies 30 decibels below the loudest part of a picture counts as that, so that a little noise
or what an encoder leaves out changes little."""
FAINT = 1e-8
"""A window whose power lies below that, -80 decibels, has nothing to be recognized by."""
ALIKE_PICTURES = 0.75
"""Of log-mel pictures: what is less alike is not looked at further."""
ALIKE_WAVES = 0.85
"""Of the samples themselves, at the best shift. Another level, format or rate, a shift, or noise 20
decibels below leave more; of a speaker's utterances of a word, 99 in 100 have less."""
CANDIDATES = 4
NEARLY = (
    "nearly in two splits is what is the same recording but for its level, its format, where it "
    "begins or a little noise"
)


def find(splits: dict[str, SoundSplit], reporter: Reporter) -> list[Twin]:
    """For each window of a later split one twin in each earlier one, if there is any; silent ones
    are left out.

    Exact: the same samples. Near: their log-mel pictures correlate (`pictures`), and at some shift
    the samples do, as they do after another encoding, resampling, a change of level or position,
    or a little noise; not after a change of speed or pitch. What differs in either is another
    recording, though the same person says the same word.
    """
    shapes = _centred({name: pictures(split) for name, split in splits.items()})
    digests = {name: _digests(split) for name, split in splits.items()}
    names = [name for name in SPLITS if name in splits]
    twins: list[Twin] = []
    for at, first in enumerate(names):
        where = {digest: place for place, digest in enumerate(digests[first]) if digest}
        for second in names[at + 1 :]:
            exact = {
                place: where[digest]
                for place, digest in enumerate(digests[second])
                if digest in where
            }
            twins += [Twin(first, second, known, held, True) for held, known in exact.items()]

            def tick(done: int, total: int, label: str = f"duplicates {first}/{second}") -> None:
                reporter.tick(label, done, total)

            near = _near(splits[first], splits[second], shapes[first], shapes[second], tick)
            twins += [
                Twin(first, second, known, held, False) for held, known in near if held not in exact
            ]
    return twins


def _windows(split: SoundSplit) -> Iterator[Floats]:
    for each in range(len(split)):
        yield split.inputs(np.array([each]))["samples"][0]


def _digests(split: SoundSplit) -> list[bytes | None]:
    """None for a silent window."""
    return [
        hashlib.blake2b(window.data, digest_size=16).digest() if window.any() else None
        for window in _windows(split)
    ]


def pictures(split: SoundSplit) -> Floats:
    """(samples, bands x steps), float32: the logarithm of each window's power in mel bands, from
    the first to the last frame that can be heard, brought to the same number of steps; zeros where
    nothing can be heard."""
    frame, hop = (max(8, split.rate * ms // 1000) for ms in (FRAME_MS, HOP_MS))
    bands, taper = _bands(frame, split.rate), np.hanning(frame).astype(np.float32)
    found = np.zeros((len(split), BANDS * STEPS), np.float32)
    for row, window in zip(found, _windows(split), strict=True):
        row[:] = _picture(np.pad(window, frame), hop, bands, taper).ravel()
    return found


def _picture(window: Floats, hop: int, bands: Floats, taper: Floats) -> Floats:
    """(bands, steps)"""
    frames = np.lib.stride_tricks.sliding_window_view(window, len(taper))[::hop]
    power = (frames**2).mean(axis=1)
    if power.max() < FAINT:
        return np.zeros((len(bands), STEPS), np.float32)
    heard = np.flatnonzero(power >= HEARD * power.max())
    frames = frames[heard[0] : heard[-1] + 1]
    mel = np.abs(np.fft.rfft(frames * taper, axis=1)) ** 2 @ bands.T
    edges = np.linspace(0, len(mel), STEPS + 1)
    sums = np.concatenate([np.zeros((1, len(bands))), np.cumsum(mel, axis=0)])
    at_edges = np.stack([np.interp(edges, np.arange(len(sums)), each) for each in sums.T])
    pooled = np.diff(at_edges, axis=1)
    picture: Floats = np.log(pooled / pooled.max() + FLOOR).astype(np.float32)
    picture -= picture.mean()
    return picture


def _bands(frame: int, rate: int) -> Floats:
    """(bands, frequencies): which belong to which of the bands, equally wide on the mel scale."""
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(frame, 1 / rate) / 700)
    place = np.minimum((mel / mel[-1] * BANDS).astype(int), BANDS - 1)
    belongs: Floats = (place == np.arange(BANDS)[:, None]).astype(np.float32)
    return belongs


def _centred(shapes: dict[str, Floats]) -> dict[str, Floats]:
    """Of length one about the mean of all: what all have in common makes none alike."""
    every = np.concatenate(list(shapes.values()))
    heard = every[every.any(axis=1)]
    mean = heard.mean(axis=0) if len(heard) else 0
    found = {}
    for name, each in shapes.items():
        moved = np.where(each.any(axis=1, keepdims=True), each - mean, 0)
        length = np.linalg.norm(moved, axis=1, keepdims=True)
        found[name] = (moved / np.where(length > 0, length, 1)).astype(np.float32)
    return found


def _near(
    first: SoundSplit,
    second: SoundSplit,
    known: Floats,
    held: Floats,
    tick: Callable[[int, int], None],
) -> Iterator[tuple[int, int]]:
    for row, best in neighbours(held, known, ALIKE_PICTURES, CANDIDATES, tick).items():
        window = second.inputs(np.array([row]))["samples"][0]
        for place, other in zip(best, first.inputs(best)["samples"], strict=True):
            if correlation(window, other) >= ALIKE_WAVES:
                yield row, int(place)
                break


def correlation(one: Floats, other: Floats) -> float:
    """Of two windows (samples,) at the shift where it is largest in size, 0 to 1."""
    size = 2 * len(one)
    product = np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size))
    most = float(np.abs(np.fft.irfft(product, size)).max())
    return most / max(float(np.linalg.norm(one)) * float(np.linalg.norm(other)), 1e-9)
