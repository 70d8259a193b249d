from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.errors import UserError
from edgedistill.tasks.routing import choose, curve

CONFIDENCE = np.array([0.9, 0.3, 0.6, 0.6, 0.8])
STUDENT = np.array([True, False, False, True, True])
TEACHER = np.array([True, True, True, True, False])

SAMPLES = st.lists(
    st.tuples(st.integers(1, 9).map(lambda tenth: tenth / 10), st.booleans(), st.booleans()),
    min_size=1,
    max_size=60,
)


def test_each_threshold_routes_what_is_below_it() -> None:
    assert curve(CONFIDENCE, STUDENT, TEACHER, costs=(1.0, 50.0)) == [
        {"threshold": 0.0, "share_routed": 0.0, "accuracy": 60.0, "cost": 1.0},
        {"threshold": 0.6, "share_routed": 0.2, "accuracy": 80.0, "cost": 11.0},
        {"threshold": 0.8, "share_routed": 0.6, "accuracy": 100.0, "cost": 31.0},
        {"threshold": 0.9, "share_routed": 0.8, "accuracy": 80.0, "cost": 41.0},
        {"threshold": 2.0, "share_routed": 1.0, "accuracy": 80.0, "cost": 51.0},
    ]


@settings(max_examples=100, deadline=None)
@given(SAMPLES, st.one_of(st.none(), st.integers(2, 20)))
def test_rows_are_what_routing_by_their_threshold_gives(samples, points) -> None:
    confidence, student, teacher = (np.array(part) for part in zip(*samples, strict=True))
    rows = curve(confidence, student, teacher, points)
    for row in rows:
        routed = confidence < row["threshold"]
        assert row["share_routed"] == routed.mean()
        assert row["accuracy"] == pytest.approx(100 * np.where(routed, teacher, student).mean())
    for key in ("threshold", "share_routed"):
        column = [row[key] for row in rows]
        assert column == sorted(set(column))
    assert (rows[0]["share_routed"], rows[-1]["share_routed"]) == (0.0, 1.0)
    assert len(rows) <= (points or len(set(confidence)) + 1)
    assert json.loads(json.dumps(rows)) == rows


def test_a_teacher_that_is_always_right_never_harms() -> None:
    rng = np.random.default_rng(0)
    rows = curve(rng.random(300), rng.random(300) < 0.7, np.ones(300, bool))
    accuracy = [row["accuracy"] for row in rows]
    assert accuracy == sorted(accuracy)
    assert accuracy[-1] == 100.0
    assert len(rows) == 101


def test_full_confidence_can_be_routed_too() -> None:
    rows = curve(np.ones(4, np.float32), np.zeros(4, bool), np.ones(4, bool))
    assert rows == [
        {"threshold": 0.0, "share_routed": 0.0, "accuracy": 0.0},
        {"threshold": 2.0, "share_routed": 1.0, "accuracy": 100.0},
    ]


def test_choose_routes_least_for_the_wanted_accuracy() -> None:
    rows = curve(CONFIDENCE, STUDENT, TEACHER)
    assert choose(rows, 60.0)["share_routed"] == 0.0
    assert choose(rows, 75.0)["threshold"] == 0.6
    assert choose(rows, 90.0)["threshold"] == 0.8


def test_choose_takes_the_most_accurate_within_a_share() -> None:
    rows = curve(CONFIDENCE, STUDENT, TEACHER)
    assert choose(rows)["threshold"] == 0.8
    assert choose(rows, max_share=0.5)["threshold"] == 0.6
    assert choose(rows, max_share=0.1)["threshold"] == 0.0
    same = curve(CONFIDENCE, STUDENT, STUDENT)
    assert choose(same)["share_routed"] == 0.0


@settings(max_examples=100, deadline=None)
@given(SAMPLES, st.floats(0, 100))
def test_choose_is_minimal(samples, wanted: float) -> None:
    confidence, student, teacher = (np.array(part) for part in zip(*samples, strict=True))
    rows = curve(confidence, student, teacher, points=None)
    enough = [row["share_routed"] for row in rows if row["accuracy"] >= wanted]
    if enough:
        chosen = choose(rows, wanted)
        assert chosen["accuracy"] >= wanted
        assert chosen["share_routed"] == min(enough)
    else:
        with pytest.raises(UserError, match="at best"):
            choose(rows, wanted)


def test_an_accuracy_out_of_reach_is_told() -> None:
    rows = curve(CONFIDENCE, STUDENT, TEACHER)
    with pytest.raises(UserError) as caught:
        choose(rows, 99.5, max_share=0.5)
    assert str(caught.value) == (
        "routing reaches 80.00 % at best, with 20.0% of the requests; 99.5 % is wanted\n"
        "hint: ask for less, allow a larger share, or train a better student"
    )
