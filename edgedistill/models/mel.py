"""The constants of a log-mel spectrum, small enough to lie in a model's file.

A direct discrete Fourier transform of 480 samples would be a matrix of 480 x 482 numbers, 900 KB.
In two stages (Cooley & Tukey 1965) it is a few small ones; a band of the mel scale reads only the
bins under its triangle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_CALL = 512
"""Weights that one more matrix product is worth: what it takes to describe it in a file, of a whole
window and of a step."""
_SLANEY_STEP = math.log(6.4) / 27.0
"""Of a natural logarithm, from one mel to the next above 1 kHz."""


def mel(hertz: float) -> float:
    """The HTK scale: Young et al., "The HTK Book", eq. 5.13."""
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def triangles(rate: int, window: int, bands: int, lowest: float, highest: float) -> Matrix:
    """(window // 2 + 1, bands): how much of each bin of a transform of `window` samples a band
    takes, from 0 to 1; their centres lie evenly on the mel scale, and each begins and ends at its
    neighbours' centres. As librosa's `filters.mel(htk=True, norm=None)`."""
    edges = np.linspace(mel(lowest), mel(highest), bands + 2)
    return _between(700.0 * (10.0 ** (edges / 2595.0) - 1.0), rate, window)


def slaney_triangles(rate: int, window: int, bands: int) -> Matrix:
    """The same on the scale of Slaney 1998, "Auditory Toolbox", from 0 to half of `rate`, each
    triangle of the same area. As librosa's `filters.mel()`, and so as Whisper's."""
    highest = 15.0 + np.log(rate / 2000.0) / _SLANEY_STEP if rate > 2000 else rate / 2 * 0.015
    edges = np.linspace(0.0, highest, bands + 2)
    hertz = np.where(edges < 15.0, edges / 0.015, 1000.0 * np.exp(_SLANEY_STEP * (edges - 15.0)))
    found: Matrix = _between(hertz, rate, window) * 2.0 / (hertz[2:] - hertz[:-2])
    return found


def _between(hertz: Matrix, rate: int, window: int) -> Matrix:
    """Triangles whose edges and centres lie at these frequencies."""
    bins = np.arange(window // 2 + 1)[:, None] * rate / window
    rising = (bins - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - bins) / (hertz[2:] - hertz[1:-1])
    found: Matrix = np.maximum(0.0, np.minimum(rising, falling))
    return found


@dataclass(frozen=True)
class Transform:
    """A transform of `rows * columns` real samples, sample `columns * r + c` at place (r, c).

    With k = a + rows * b, X[k] = sum_c exp(-2 pi i c b / columns) exp(-2 pi i c a / (rows *
    columns)) sum_r exp(-2 pi i r a / rows) x[columns * r + c]. Of the places a only the first half
    is computed: real samples have X[n - k] = conj(X[k]), and every bin is there once.
    """

    rows: int
    columns: int

    @property
    def half(self) -> int:
        """Places a that are computed."""
        return self.rows // 2 + 1

    @property
    def weights(self) -> int:
        """Numbers in its matrices."""
        return 2 * self.half * self.rows + 2 * self.half * self.columns + 2 * self.columns**2

    def first(self) -> Matrix:
        """(rows, 2 * half): over r; real parts, then imaginary ones."""
        angle = 2 * np.pi * np.outer(np.arange(self.rows), np.arange(self.half)) / self.rows
        return np.concatenate((np.cos(angle), -np.sin(angle)), 1)

    def twist(self) -> tuple[Matrix, Matrix]:
        """(columns, half) each: cosine and sine of the angle that each place is turned back by."""
        turns = np.outer(np.arange(self.columns), np.arange(self.half))
        angle = 2 * np.pi * turns / (self.rows * self.columns)
        return np.cos(angle), np.sin(angle)

    def second(self) -> Matrix:
        """(columns, 2 * columns): over c; cosines, then sines."""
        angle = 2 * np.pi * np.outer(np.arange(self.columns), np.arange(self.columns))
        return np.concatenate((np.cos(angle / self.columns), np.sin(angle / self.columns)), 1)

    def bins(self) -> NDArray[np.int64]:
        """(half, columns): the bin, from 0 to half of the samples, that place (a, b) holds the
        power of; -1 where another place holds the same."""
        samples = self.rows * self.columns
        at = np.arange(self.half)[:, None] + self.rows * np.arange(self.columns)
        folded = np.minimum(at, samples - at)
        _, first = np.unique(folded, return_index=True)
        once = np.full(folded.size, -1)
        once[first] = folded.ravel()[first]
        return once.reshape(folded.shape)


def transform(window: int) -> Transform:
    """The transform of `window` samples with the fewest numbers in its matrices."""
    divisors = [each for each in range(1, window + 1) if window % each == 0]
    return min((Transform(each, window // each) for each in divisors), key=lambda t: t.weights)


@dataclass(frozen=True)
class Share:
    """Neighbouring bands, and the part of a transform's columns that they read: `columns[0]` to
    `columns[1]`, and the same counted from the end, where the mirrored bins lie."""

    columns: tuple[int, int]
    weights: Matrix
    """(half * columns read, bands)."""


def shares(filters: Matrix, used: Transform) -> list[Share]:
    """`triangles` as products with a transform's power, each with the columns its bands need, cut
    so that there are few weights in all.

    Raises ValueError: a band has no bin.
    """
    for band, column in enumerate(filters.T):
        if not column.any():
            raise ValueError(f"band {band} lies between two bins of the transform")
    bands, cost = filters.shape[1], [0.0]
    begin: list[int] = []
    for end in range(1, bands + 1):
        costs = [cost[at] + _size(filters, used, at, end) + _CALL for at in range(end)]
        cost.append(min(costs))
        begin.append(int(np.argmin(costs)))
    found, end = [], bands
    while end:
        found.append(_share(filters, used, begin[end - 1], end))
        end = begin[end - 1]
    return found[::-1]


def _columns(filters: Matrix, used: Transform, begin: int, end: int) -> tuple[int, int]:
    """Each column b, with its mirror, holds the bins from rows * b to rows * (b + 1)."""
    bins = np.flatnonzero(filters[:, begin:end].any(1))
    middle = (used.columns + 1) // 2
    first, last = int(bins[0]) // used.rows, int(bins[-1]) // used.rows
    return min(first, middle - 1), min(last, middle - 1) + 1


def _size(filters: Matrix, used: Transform, begin: int, end: int) -> int:
    first, last = _columns(filters, used, begin, end)
    return 2 * (last - first) * used.half * (end - begin)


def _share(filters: Matrix, used: Transform, begin: int, end: int) -> Share:
    first, last = columns = _columns(filters, used, begin, end)
    bins = used.bins()
    mirrored = bins[:, used.columns - last : used.columns - first].copy()
    mirrored[:, : max(0, 2 * last - used.columns)] = -1  # its own mirror, read already
    read = np.concatenate((bins[:, first:last], mirrored), 1).ravel()
    weights = np.where(read[:, None] < 0, 0.0, filters[read, begin:end])
    return Share(columns, weights)
