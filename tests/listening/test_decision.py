"""When a keyword counts as heard."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgedistill.listening.decision import Decider, Fired, Smoothing, apart
from edgedistill.records.listening import Rule

Floats = NDArray[np.float64]


def rule(**changes: object) -> Rule:
    wanted: dict[str, object] = {
        "keywords": ("on", "off"), "thresholds": (0.5, 0.7), "smoothing": 1, "refractory": 0,
    }  # fmt: skip
    return Rule(**{**wanted, **changes})  # type: ignore[arg-type]


@st.composite
def streams(draw: st.DrawFn) -> Floats:
    """(steps, 2), in 0..1, many of them near a threshold."""
    steps = draw(st.integers(0, 60))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    return np.asarray(np.round(random.random((steps, 2)), draw(st.integers(1, 6))))


rules = st.builds(
    rule,
    thresholds=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
    smoothing=st.integers(1, 7),
    refractory=st.integers(0, 9),
)


def by_hand(wanted: Rule, stream: Floats) -> list[tuple[int, int]]:
    """The rule as its docstrings say it, a step at a time."""
    found, last = [], {0: -(10**9), 1: -(10**9)}
    padded = np.concatenate([np.zeros((wanted.smoothing - 1, 2)), stream])
    for step in range(len(stream)):
        for keyword in (0, 1):
            total = 0.0
            for row in padded[step : step + wanted.smoothing]:
                total += row[keyword]
            above = total / wanted.smoothing > wanted.thresholds[keyword]
            if above and step - last[keyword] > wanted.refractory:
                found.append((step, keyword))
                last[keyword] = step
    return found


@given(rules, streams())
def test_a_detection_is_as_the_rule_says_it(wanted: Rule, stream: Floats) -> None:
    found = Decider(wanted).feed(stream)
    assert [(each.step, each.keyword) for each in found] == by_hand(wanted, stream)
    assert all(each.confidence > wanted.thresholds[each.keyword] for each in found)


@given(rules, streams())
def test_detections_of_a_keyword_are_never_within_the_refractory_time(
    wanted: Rule, stream: Floats
) -> None:
    found = Decider(wanted).feed(stream)
    for keyword in (0, 1):
        steps = [each.step for each in found if each.keyword == keyword]
        assert all(np.diff(steps) > wanted.refractory)


@given(rules, streams(), st.lists(st.integers(0, 60), max_size=6))
def test_the_pieces_that_a_stream_comes_in_change_nothing(
    wanted: Rule, stream: Floats, cuts: list[int]
) -> None:
    decider, found = Decider(wanted), list[Fired]()
    for piece in np.split(stream, sorted(min(cut, len(stream)) for cut in cuts)):
        found += decider.feed(piece)
    assert found == Decider(wanted).feed(stream)


@given(streams(), st.integers(1, 5), st.floats(0.05, 0.9), st.floats(0.0, 0.5))
def test_without_a_refractory_time_a_higher_threshold_only_takes_detections_away(
    stream: Floats, smoothing: int, threshold: float, more: float
) -> None:
    low = rule(thresholds=(threshold, threshold), smoothing=smoothing)
    high = rule(thresholds=(threshold + more, threshold + more), smoothing=smoothing)
    assert set(Decider(high).feed(stream)) <= set(Decider(low).feed(stream))


def test_a_detection_hides_what_follows_in_its_refractory_time() -> None:
    """So that a higher threshold may well find another one."""
    stream = np.array([[0.6, 0.0], [0.0, 0.0], [0.9, 0.0]])
    assert [each.step for each in Decider(rule(refractory=2)).feed(stream)] == [0]
    high = rule(refractory=2, thresholds=(0.8, 0.8))
    assert [each.step for each in Decider(high).feed(stream)] == [2]


def test_before_the_first_step_probabilities_are_zero() -> None:
    smooth = Smoothing(4, 1)
    assert smooth(np.ones((5, 1)))[:, 0].tolist() == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert smooth(np.zeros((1, 1)))[:, 0].tolist() == [0.75]


def test_steps_apart_go_on_from_the_last_one_taken() -> None:
    steps = np.array([1, 2, 5, 6, 9])
    assert apart(steps, 3).tolist() == [1, 5, 9]
    assert apart(steps, 3, last=0).tolist() == [5, 9]
    assert apart(steps, 0).tolist() == steps.tolist()
    assert apart(steps[:0], 3).tolist() == []
