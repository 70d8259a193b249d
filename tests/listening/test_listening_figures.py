"""Misses against false accepts, and the rule chosen by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.listening.choose import choose, expected, threshold_on
from edgedistill.listening.decision import Decider
from edgedistill.listening.figures import (
    THRESHOLDS,
    Audio,
    Said,
    count,
    counted,
    curve,
    figures,
    poisson,
    wilson,
)
from edgedistill.records.listening import Curve, CurvePoint, Rule

SAID = (Said(0, 10, 20, 18), Said(0, 40, 50, 48), Said(1, 60, 70, 68))


def test_the_first_detection_in_time_is_right_and_each_other_one_a_false_accept() -> None:
    found = count(np.array([5, 12, 19, 45, 51, 90]), SAID[:2])
    assert [(each.start, step) for each, step in found.heard] == [(10, 12), (40, 45)]
    assert found.missed == ()
    assert found.false.tolist() == [5, 19, 51, 90]
    nothing = count(np.array([9, 21]), SAID[:2])
    assert nothing.missed == SAID[:2] and nothing.false.tolist() == [9, 21]


@given(st.sets(st.integers(0, 100)))
def test_every_keyword_is_heard_or_missed_and_every_detection_right_or_false(
    steps: set[int],
) -> None:
    found = count(np.array(sorted(steps), np.int64), SAID[:2])
    assert len(found.heard) + len(found.missed) == 2
    right = [step for _, step in found.heard]
    assert sorted([*right, *found.false.tolist()]) == sorted(steps)
    for each, step in found.heard:
        assert each.start <= step <= each.end
        assert not any(each.start <= other < step for other in steps)
    for each in found.missed:
        assert not any(each.start <= step <= each.end for step in steps)


def test_another_keyword_than_was_said_is_a_miss_and_a_false_accept() -> None:
    stream = np.zeros((100, 2))
    stream[65, 0] = 1.0
    wanted = Rule(keywords=("on", "off"), thresholds=(0.5, 0.5), smoothing=1, refractory=5)
    found = counted(Decider(wanted).feed(stream), Audio(SAID, 2.0, 20.0), 2)
    heard = figures(found, Audio(SAID, 2.0, 20.0), ("on", "off"))
    assert (heard.all.said, heard.all.missed, heard.all.false_accepts) == (3, 3, 1)
    assert heard.keywords[0].false_accepts_per_hour == 0.5
    assert heard.keywords[1].false_accepts == 0
    assert heard.all.delay_ms is None


def test_the_delay_counts_from_the_end_of_what_was_said() -> None:
    found = [count(np.array([16, 50]), SAID[:2]), count(np.array([], np.int64), SAID[2:])]
    heard = figures(found, Audio(SAID, 1.0, 20.0), ("on", "off"))
    assert heard.keywords[0].delay_ms == 0.0  # two steps before, and two after
    assert heard.all.missed == 1


def test_intervals_are_those_of_the_tables() -> None:
    """Wilson: Newcombe 1998, table I; Poisson: Ulm 1990, and 3.689 for none."""
    assert wilson(81, 263) == pytest.approx((25.53, 36.62), abs=0.01)
    assert wilson(15, 148) == pytest.approx((6.24, 16.05), abs=0.01)
    assert wilson(0, 20) == pytest.approx((0.0, 16.11), abs=0.01)
    assert poisson(0) == pytest.approx((0.0, 3.689), abs=0.001)
    assert poisson(10) == pytest.approx((4.795, 18.390), abs=0.001)


@given(st.integers(0, 300), st.integers(1, 300))
def test_intervals_hold_what_was_found(some: int, of: int) -> None:
    low, high = wilson(min(some, of), of)
    assert 0.0 <= low <= 100.0 * min(some, of) / of + 1e-9 <= high + 2e-9 <= 100.0 + 3e-9
    low, high = poisson(some)
    assert low <= some < high


def points(*pairs: tuple[int, int], hours: float = 2.0) -> Curve:
    rising = tuple(CurvePoint(THRESHOLDS[at], *pair) for at, pair in enumerate(pairs))
    return Curve(keyword="on", said=10, hours=hours, points=rising)


def test_a_threshold_is_the_middle_of_the_longest_stretch_that_misses_least() -> None:
    found = points((0, 99), (1, 2), (1, 2), (1, 1), (1, 0), (1, 0), (3, 0))
    chosen = threshold_on(found, 3.0)
    assert chosen.within
    assert (chosen.value, chosen.missed, chosen.reserve) == (THRESHOLDS[4], 1, 4)


@given(st.floats(0.05, 0.3), st.floats(0.2, 5.0))
def test_a_short_time_is_no_proof_of_few_false_accepts(fall: float, hours: float) -> None:
    """Of peaks with an exponential tail some hours show a part: what is to be expected is near the
    truth, also where nothing was counted."""
    true = 3000 * np.exp(-fall * np.arange(len(THRESHOLDS)))
    counts = np.rint(true * hours).astype(int).tolist()
    found = expected(points(*((0, count) for count in counts), hours=hours))
    rare = (true > 0.1) & (true < 5)
    assert (found[rare] > true[rare] / 4).all() and (found[rare] < 4 * true[rare]).all()


def test_of_what_was_never_heard_wrongly_nothing_is_expected() -> None:
    assert expected(points((0, 0), (1, 0))).tolist() == [0.0, 0.0]


def test_where_no_threshold_keeps_the_limit_the_fewest_false_accepts_count() -> None:
    chosen = threshold_on(points((0, 9), (1, 5), (2, 5)), 1.0)
    assert not chosen.within
    assert (chosen.value, chosen.false_accepts) == (THRESHOLDS[2], 5)


def noisy(seed: int) -> np.ndarray:
    """Probabilities that rise while a keyword is due, with spikes of one step elsewhere."""
    random = np.random.default_rng(seed)
    stream = 0.2 * random.random((2000, 1))
    stream[random.integers(0, 2000, 20), 0] = 0.95
    for start in range(100, 2000, 200):
        stream[start : start + 12, 0] = 0.8
    return stream


def test_smoothing_is_chosen_where_it_keeps_false_accepts_out() -> None:
    said = tuple(Said(0, start, start + 20, start + 12) for start in range(100, 2000, 200))
    audio = Audio(said, 1.0, 20.0)
    alone = choose(noisy(1), audio, ("on",), 1.0, [1], [30])
    chosen = choose(noisy(1), audio, ("on",), 1.0, [1, 8], [30])
    assert chosen.within_limit and chosen.rule.smoothing == 8
    found = counted(Decider(chosen.rule).feed(noisy(1)), audio, 1)
    assert figures(found, audio, ("on",)).all.missed == 0
    assert figures(found, audio, ("on",)).all.false_accepts <= 1
    missed = figures(counted(Decider(alone.rule).feed(noisy(1)), audio, 1), audio, ("on",))
    assert missed.all.missed == 10


def test_a_curve_counts_what_the_rule_does_at_each_threshold() -> None:
    audio = Audio((Said(0, 100, 120, 112),), 1.0, 20.0)
    stream = noisy(2)
    drawn = curve(stream[:, 0], audio.said, 1.0, 30, "on")
    assert [each.threshold for each in drawn.points] == list(THRESHOLDS)
    for point in drawn.points[::16]:
        wanted = Rule(keywords=("on",), thresholds=(point.threshold,), smoothing=1, refractory=30)
        heard = figures(counted(Decider(wanted).feed(stream), audio, 1), audio, ("on",)).all
        assert (heard.missed, heard.false_accepts) == (point.missed, point.false_accepts)
