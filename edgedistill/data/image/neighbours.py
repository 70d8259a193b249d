"""Which of very many vectors point the same way: all of them, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

LEADING = 15
"""Directions along which two vectors are compared first."""
HELD_LEAF, KNOWN_LEAF = 512, 1024
"""Vectors in a block; the products of two blocks fit a core's cache."""
SLACK = 1e-4
"""More than rounding can make of a product of two vectors of length one, or of a distance."""


def neighbours(
    held: Vectors,
    known: Vectors,
    least: float,
    most: int,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, Rows]:
    """For rows of `held` those rows of `known`, `most` of them and the best first, whose product
    with it is `least` or more; a row that has none is left out.

    held, known: (samples, values), rows of length one or zero. `tick` gets how many rows of `held`
    are done, and of how many.

    Along the directions in which the vectors differ most (principal components, Pearson 1901) two
    of them are no further apart than in all; of what is left, the lengths are no further apart
    (Cauchy and Schwarz). So the product of these few coordinates is never below that of the whole
    vectors, and only where it comes to `least` are those multiplied. Blocks of vectors that lie
    together (leaves of a k-d tree, Bentley 1975) are left out whole where they lie too far apart.
    """
    axes = _axes(known)
    ours, theirs = _leaves(held, axes, HELD_LEAF), _leaves(known, axes, KNOWN_LEAF)
    if not theirs:
        return {}
    lowest = np.array([each.lowest for each in theirs])
    highest = np.array([each.highest for each in theirs])
    reach = 2 - 2 * least + SLACK
    found: dict[int, Rows] = {}
    done = len(held) - sum(len(each.rows) for each in ours)
    space = np.empty(HELD_LEAF * KNOWN_LEAF, np.float32)
    for leaf in ours:
        gaps = np.maximum(np.maximum(lowest - leaf.highest, leaf.lowest - highest), 0.0)
        near = np.flatnonzero((gaps**2).sum(axis=1) <= reach)
        best: dict[int, tuple[Vectors, Rows]] = {}
        for other in near:
            _compare(leaf, theirs[other], held, known, least, most, space, best)
        found.update({row: rows for row, (_, rows) in best.items()})
        done += len(leaf.rows)
        tick(done, len(held))
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class _Leaf:
    """Vectors that lie together: their rows, ascending, and their leading coordinates."""

    rows: Rows
    places: Vectors
    lowest: Vectors
    highest: Vectors


def _axes(vectors: Vectors) -> Vectors:
    """(values, LEADING): the directions in which the vectors are longest, orthogonal."""
    spread = np.zeros((vectors.shape[1],) * 2)
    for start in range(0, len(vectors), 2**16):
        block = vectors[start : start + 2**16].astype(np.float64)
        spread += block.T @ block
    _, directions = np.linalg.eigh(spread)
    leading: Vectors = directions[:, ::-1][:, :LEADING].astype(np.float32)
    return leading


def _leaves(vectors: Vectors, axes: Vectors, size: int) -> list[_Leaf]:
    """Blocks of at most `size`, halved along the axis of their largest spread; vectors of length
    zero are in none."""
    places = _places(vectors, axes)
    leaves: list[_Leaf] = []
    waiting: list[Rows] = [np.flatnonzero(vectors.any(axis=1))]
    while waiting:
        rows = waiting.pop()
        if len(rows) > size:
            widest = int(np.argmax(places[rows].var(axis=0)))
            order = np.argpartition(places[rows, widest], len(rows) // 2)
            waiting += [rows[order[len(rows) // 2 :]], rows[order[: len(rows) // 2]]]
        elif len(rows):
            rows = np.sort(rows)
            here = places[rows]
            leaves.append(_Leaf(rows, here, here.min(axis=0), here.max(axis=0)))
    return leaves


def _places(vectors: Vectors, axes: Vectors) -> Vectors:
    """(samples, LEADING + 1): coordinates along the axes, and the length of what is left."""
    along = vectors @ axes
    whole = np.einsum("ij,ij->i", vectors, vectors)
    left = np.sqrt(np.maximum(whole - np.einsum("ij,ij->i", along, along), 0.0))
    return np.concatenate([along, left[:, None]], axis=1, dtype=np.float32)


def _compare(
    leaf: _Leaf,
    other: _Leaf,
    held: Vectors,
    known: Vectors,
    least: float,
    most: int,
    space: Vectors,
    best: dict[int, tuple[Vectors, Rows]],
) -> None:
    """Take into `best` what of `other` is alike to what is in `leaf`."""
    shape = len(leaf.rows), len(other.rows)
    bounds = space[: shape[0] * shape[1]].reshape(shape)
    np.matmul(leaf.places, other.places.T, out=bounds)
    if bounds.max() < least - SLACK:
        return
    rows = leaf.rows[(bounds >= least - SLACK).any(axis=1)]
    scores = held[rows] @ known[other.rows].T
    for row, values in zip(rows.tolist(), scores, strict=True):
        alike = np.flatnonzero(values >= least)
        if len(alike):
            before = best.get(row, (np.empty(0, np.float32), np.empty(0, np.int64)))
            best[row] = _best(
                np.concatenate([before[0], values[alike]]),
                np.concatenate([before[1], other.rows[alike]]),
                most,
            )


def _best(scores: Vectors, rows: Rows, most: int) -> tuple[Vectors, Rows]:
    """The `most` highest, the highest first; among equals the first row."""
    order = np.lexsort((rows, -scores))[:most]
    return scores[order], rows[order]
