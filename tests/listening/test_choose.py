"""False accepts parted among keywords."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.listening.choose import expected, shares, threshold_on
from edgedistill.records.listening import Curve, CurvePoint

COUNTS = st.lists(st.integers(0, 60), min_size=2, max_size=6)


def curve(false_accepts: list[int], missed: list[int], hours: float = 2.0) -> Curve:
    """With the fewer false accepts and the more misses the higher the threshold."""
    falling, rising = sorted(false_accepts, reverse=True), sorted(missed)
    points = tuple(
        CurvePoint(threshold=0.1 * (place + 1), missed=m, false_accepts=f)
        for place, (f, m) in enumerate(zip(falling, rising, strict=False))
    )
    return Curve(keyword="word", said=100, hours=hours, points=points)


def least_missed(found: list[Curve], limit: float) -> int | None:
    """By trying all; None where none keeps the limit."""
    choices = [
        list(zip(expected(each), (p.missed for p in each.points), strict=True)) for each in found
    ]
    kept = [
        sum(missed for _, missed in rows)
        for rows in itertools.product(*choices)
        if sum(rate for rate, _ in rows) <= limit + 1e-9
    ]
    return min(kept, default=None)


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=3), st.floats(0.1, 40))
def test_the_parts_are_those_with_the_fewest_misses(
    drawn: list[tuple[list[int], list[int]]], limit: float
) -> None:
    found = [curve(*each) for each in drawn]
    parts = shares(found, limit)
    picked = [threshold_on(each, part) for each, part in zip(found, parts, strict=True)]
    least = least_missed(found, limit)
    if least is None:
        assert parts == pytest.approx((limit / len(found),) * len(found))
        return
    assert sum(parts) <= limit + 1e-6
    assert all(each.within for each in picked)
    assert sum(each.missed for each in picked) <= least


def test_who_is_never_mistaken_leaves_its_part_to_others() -> None:
    sure = curve([0, 0, 0], [0, 5, 9])
    other = curve([2, 1, 0], [0, 10, 20])
    first, second = shares([sure, other], limit=1.0)
    assert first == 0
    assert second == pytest.approx(1.0)
    assert threshold_on(other, second).missed == 0
    assert np.isclose(expected(other)[0], 1.0)
