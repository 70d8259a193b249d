"""Labels of one's own for digits_attributes.yaml and digits_measures.yaml: scikit-learn's digits,
with what they have and with what can be measured on them rather than with what they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOOPED = (0, 6, 8, 9)


def attributes(split: str) -> Iterator[tuple[NDArray[np.uint8], list[int]]]:
    """Whether a digit is even, has a loop, is at least five."""
    for image, digit in _digits(split):
        yield image, [int(digit % 2 == 0), int(digit in LOOPED), int(digit >= 5)]


def measures(split: str) -> Iterator[tuple[NDArray[np.uint8], NDArray[Any]]]:
    """How much ink there is, and where its middle lies: all in 0..1."""
    for image, _ in _digits(split):
        ink = image / 255
        down, across = (np.average(axis, weights=ink) / 7 for axis in np.indices(ink.shape))
        yield image, np.array([ink.mean(), across, down], np.float32)


def _digits(split: str) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Grey images of 8x8 pixels; one in five is kept for the test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    for number, (image, digit) in enumerate(zip(images, bunch.target, strict=True)):
        if (number % 5 == 0) == (split == "test"):
            yield image, int(digit)
