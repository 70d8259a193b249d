"""Images that lie in more than one split, exactly or nearly: a test on them proves little."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image.neighbours import neighbours
from edgedistill.data.splits import SPLITS, ImageSplit
from edgedistill.progress import Reporter

Vectors = NDArray[np.float32]
Images = NDArray[np.uint8]

THUMBNAIL = 8
ALIKE_THUMBNAILS = 0.98
ALIKE_PIXELS = 0.95
CLOSE = 0.4
"""Near duplicates differ by less than this share of the usual difference to the most alike image:
handwriting is alike without being copied, photographs are not."""
CLOSEST, FURTHEST = 8.0, 30.0
"""Bounds of that difference (root mean square, of 255): re-encoding changes less than the first."""
SURVEYED = 256
PLAIN = 2.0
"""An image whose values deviate less than this, of 255, has nothing to be recognized by."""
CANDIDATES = 8
"""The most alike are compared in all pixels: one twin is enough to know."""
READ, COMPARE = 1024, 8192


@dataclass(frozen=True)
class Twin:
    """Image `held` of split `second` is in `first` too, as image `known`."""

    first: str
    second: str
    known: int
    held: int
    exact: bool


def find(splits: dict[str, ImageSplit], reporter: Reporter) -> list[Twin]:
    """For each image of a later split one twin in each earlier one, if there is any.

    Exact: the same pixels. Near: 8x8 grey thumbnails that correlate (an average hash without its
    rounding), confirmed on all pixels and colours; plain images are only compared exactly.
    """
    digests = {name: _digests(split) for name, split in splits.items()}
    thumbnails = {name: _thumbnails(split) for name, split in splits.items()}
    twins: list[Twin] = []
    for first, second in _pairs(splits):
        where = {digest: at for at, digest in enumerate(digests[first])}
        exact = {at: where[digest] for at, digest in enumerate(digests[second]) if digest in where}
        twins += [Twin(first, second, known, held, True) for held, known in exact.items()]

        def tick(done: int, total: int, label: str = f"duplicates {first}/{second}") -> None:
            reporter.tick(label, done, total)

        for held, known in _near(
            splits[first], splits[second], thumbnails[first], thumbnails[second], tick
        ):
            if held not in exact:
                twins.append(Twin(first, second, known, held, False))
    return twins


def _pairs(splits: dict[str, ImageSplit]) -> list[tuple[str, str]]:
    names = [name for name in SPLITS if name in splits]
    return [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]


def _blocks(split: ImageSplit) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(split), READ):
        yield np.asarray(split.images[start : start + READ])


def _digests(split: ImageSplit) -> list[bytes]:
    return [
        hashlib.blake2b(image.data, digest_size=16).digest()
        for block in _blocks(split)
        for image in block
    ]


def _thumbnails(split: ImageSplit) -> Vectors:
    """(samples, 64) float32 of length one around a mean of zero; all zero for a plain image."""
    vectors = [np.empty((0, THUMBNAIL**2), np.float32)]
    for block in _blocks(split):
        grey = block.mean(axis=3, dtype=np.float32)
        down, across = _averaging(grey.shape[1]), _averaging(grey.shape[2])
        small = (down @ grey @ across.T).reshape(len(block), -1)
        small -= small.mean(axis=1, keepdims=True)
        length = np.linalg.norm(small, axis=1, keepdims=True)
        plain = length < PLAIN * THUMBNAIL
        vectors.append(np.where(plain, 0.0, small / np.where(plain, 1.0, length)))
    return np.concatenate(vectors, dtype=np.float32)


def _averaging(size: int) -> Vectors:
    """(8, size): each row averages its eighth of a line, with parts of pixels at the seams."""
    edges = np.arange(THUMBNAIL + 1) * size / THUMBNAIL
    pixel = np.arange(size)
    upper = np.minimum(edges[1:, None], pixel + 1)
    overlap = np.clip(upper - np.maximum(edges[:-1, None], pixel), 0.0, None)
    weights: Vectors = (overlap * THUMBNAIL / size).astype(np.float32)
    return weights


def _near(
    first: ImageSplit,
    second: ImageSplit,
    known: Vectors,
    held: Vectors,
    tick: Callable[[int, int], None],
) -> Iterator[tuple[int, int]]:
    close = _close(first, known)
    for held_row, best in neighbours(held, known, ALIKE_THUMBNAILS, CANDIDATES, tick).items():
        difference, correlation = _compare(second.images[held_row], first.images[best])
        alike = (difference <= close) & (correlation >= ALIKE_PIXELS)
        if alike.any():
            yield held_row, int(best[np.argmax(alike)])


def _close(split: ImageSplit, thumbnails: Vectors) -> float:
    """What difference makes a near duplicate, from how alike different images of `split` are.
    Not from those of two splits: where one is a copy of the other, being copied is usual."""
    sample = np.unique(np.linspace(0, len(split) - 1, SURVEYED).astype(int))
    usual = [
        float(_compare(split.images[image], split.images[[other]])[0][0])
        for image, other in zip(sample, _most_alike(thumbnails, sample), strict=True)
    ]
    return float(np.clip(CLOSE * np.median(usual), CLOSEST, FURTHEST))


def _most_alike(thumbnails: Vectors, sample: NDArray[np.int64]) -> NDArray[np.int64]:
    """For these images the number of the other one that is most alike."""
    highest, others = np.full(len(sample), -np.inf, np.float32), np.zeros(len(sample), np.int64)
    for start in range(0, len(thumbnails), COMPARE):
        block = thumbnails[start : start + COMPARE]
        scores = thumbnails[sample] @ block.T
        here = (start <= sample) & (sample < start + COMPARE)
        scores[here, sample[here] - start] = -1.0
        best = np.argmax(scores, axis=1)
        values = scores[np.arange(len(sample)), best]
        others = np.where(values > highest, start + best, others)
        highest = np.maximum(values, highest)
    return others


def _compare(image: Images, others: Images) -> tuple[Vectors, Vectors]:
    """(candidates,) twice: root mean square difference, and correlation, of all values."""
    a = np.asarray(image, np.float32).reshape(1, -1)
    b = np.asarray(others, np.float32).reshape(len(others), -1)
    difference = np.sqrt(np.mean((a - b) ** 2, axis=1))
    spread = np.maximum(a.std(axis=1) * b.std(axis=1), PLAIN**2)
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    return difference, (a * b).mean(axis=1) / spread
