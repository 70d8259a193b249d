from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from edgedistill.data.image import neighbours as module
from edgedistill.data.image.neighbours import neighbours


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(length > 0, rows / np.where(length > 0, length, 1), 0).astype(np.float32)


def plainly(held: np.ndarray, known: np.ndarray, least: float, most: int) -> dict[int, list[int]]:
    """Every product of the one with the other, in one piece."""
    scores = held @ known.T
    found = {}
    for row, values in enumerate(scores):
        alike = np.flatnonzero(values >= least)
        order = np.lexsort((alike, -values[alike]))[:most]
        if len(alike):
            found[row] = alike[order].tolist()
    return found


@settings(max_examples=40, deadline=None)
@given(
    seed=some.integers(0, 10**6), counts=some.tuples(some.integers(1, 300), some.integers(1, 300)),
    rank=some.sampled_from([2, 5, 64]), noise=some.sampled_from([0.0, 0.05, 0.13, 0.2, 0.3]),
    leaves=some.sampled_from([(512, 1024), (7, 11)]),
)  # fmt: skip
def test_the_same_pairs_are_found_as_by_comparing_all(
    seed: int, counts: tuple[int, int], rank: int, noise: float, leaves: tuple[int, int]
) -> None:
    random = np.random.default_rng(seed)
    spread = random.normal(size=(rank, 64))
    known = unit(random.normal(size=(counts[0], rank)) @ spread)
    held = unit(random.normal(size=(counts[1], rank)) @ spread)
    copies = random.integers(0, counts[0], counts[1] // 2)
    held[: len(copies)] = unit(known[copies] + noise / 8 * random.normal(size=(len(copies), 64)))
    held[-1] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "HELD_LEAF", leaves[0])
        patch.setattr(module, "KNOWN_LEAF", leaves[1])
        found = neighbours(held, known, 0.98, 1000)
    wanted = plainly(held, known, 0.98, 1000)
    # Products of blocks of other shapes may differ in the last bit.
    scores = held @ known.T
    certain = np.abs(scores - 0.98) > 1e-6
    pairs = {(row, at) for row, rows in found.items() for at in rows.tolist() if certain[row, at]}
    assert pairs == {(row, at) for row, rows in wanted.items() for at in rows if certain[row, at]}


def test_the_best_come_first_and_no_more_than_asked() -> None:
    random = np.random.default_rng(0)
    one = random.normal(size=64)
    known = unit(one + np.linspace(0.12, 0.01, 30)[:, None] * random.normal(size=(30, 64)))
    held = unit(one[None])
    found = neighbours(held, known, 0.98, 8)
    assert found[0].tolist() == plainly(held, known, 0.98, 8)[0]
    assert len(found[0]) == 8


def test_of_equals_the_first_are_taken() -> None:
    one = unit(np.random.default_rng(0).normal(size=(1, 64)))
    assert neighbours(one, np.repeat(one, 3000, axis=0), 0.98, 3)[0].tolist() == [0, 1, 2]


def test_memory_does_not_grow_with_the_product_of_both() -> None:
    random = np.random.default_rng(0)
    known, held = (unit(random.normal(size=(count, 64))) for count in (20_000, 3_000))
    held[5] = known[777]
    done: list[tuple[int, int]] = []
    tracemalloc.start()
    found = neighbours(held, known, 0.98, 8, lambda *tick: done.append(tick))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == {5: np.array([777])}
    assert done[-1] == (3_000, 3_000)
    assert peak < 60e6 < held.nbytes / 64 * len(known)


def test_nothing_to_compare_with_has_no_neighbours() -> None:
    some_rows = unit(np.random.default_rng(0).normal(size=(3, 64)))
    assert neighbours(some_rows, np.zeros((4, 64), np.float32), 0.98, 8) == {}
    assert neighbours(np.zeros((4, 64), np.float32), some_rows, 0.98, 8) == {}
