"""Errors counted, and how sure a rate is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.transcripts.errors import (
    Counts,
    align,
    difference_interval,
    rate_interval,
    total,
)

TEXTS = st.lists(st.sampled_from(["a", "b", "cd", "e"]), max_size=6).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12)


def counts(
    hits: int = 0, substitutions: int = 0, deletions: int = 0, insertions: int = 0
) -> Counts:
    return Counts(
        hits=hits, substitutions=substitutions, deletions=deletions, insertions=insertions
    )


def words(*pairs: tuple[str, str]) -> tuple[Counts, ...]:
    return align([said for said, _ in pairs], [heard for _, heard in pairs], str.lower, "words")


def characters(said: str, heard: str) -> Counts:
    return align([said], [heard], str.lower, "characters")[0]


def distance(said: list[str], heard: list[str]) -> int:
    """The textbook's table."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]


def test_errors_of_each_kind_by_hand() -> None:
    found = words(
        ("The cat sat on the mat", "the cat sat on mat"),
        ("the cat sat", "the bat sat down"),
        ("hello", "hello"),
    )
    assert found == (counts(5, deletions=1), counts(2, 1, insertions=1), counts(1))
    assert total(found) == counts(8, 1, 1, 1)
    assert total(found).rate == 30.0
    assert [each.rate for each in found] == pytest.approx([100 / 6, 200 / 3, 0.0])


def test_characters_count_without_white_space() -> None:
    assert characters("to day", "today") == counts(5)
    assert characters("kitten", "sitting") == counts(4, 2, insertions=1)


def test_a_language_without_spaces_loses_nothing() -> None:
    assert characters("今日はいい天気", "今日はいい元気です") == counts(6, 1, insertions=2)


def test_without_a_word_in_the_reference_there_is_no_rate_but_insertions_count() -> None:
    silence, nothing, speech = words(("", "thank you"), ("", ""), ("one two three four", ""))
    assert (silence, silence.rate) == (counts(insertions=2), None)
    assert (nothing, nothing.rate) == (counts(), None)
    assert (speech, speech.rate) == (counts(deletions=4), 100.0)
    assert total([silence, nothing, speech]).rate == 150.0
    assert rate_interval([silence, nothing], 0) is None
    assert rate_interval([silence, speech], 0) == (100.0, 150.0)


def test_of_nothing_there_is_nothing() -> None:
    assert words() == ()
    assert total([]).rate is None
    assert rate_interval([], 0) is None


@given(PAIRS)
@settings(max_examples=40, deadline=None)
def test_errors_are_as_few_as_can_be(pairs: list[tuple[str, str]]) -> None:
    for (said, heard), found in zip(pairs, words(*pairs), strict=True):
        assert found.errors == distance(said.split(), heard.split())
        assert found.length == len(said.split())
        assert found.hits + found.substitutions + found.insertions == len(heard.split())
        assert found.rate is None or found.rate >= 0.0


@given(PAIRS, st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_order_of_utterances_changes_no_total(pairs: list[tuple[str, str]], random) -> None:
    mixed = random.sample(pairs, len(pairs))
    assert total(words(*mixed)) == total(words(*pairs))


@given(st.lists(TEXTS))
@settings(max_examples=40, deadline=None)
def test_the_same_text_has_no_errors(texts: list[str]) -> None:
    found = words(*((text, text.upper()) for text in texts))
    assert total(found).errors == 0
    assert rate_interval(found, 0, draws=50) in (None, (0.0, 0.0))


@given(PAIRS, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_the_interval_holds_the_rate(pairs: list[tuple[str, str]], seed: int) -> None:
    found = words(*pairs)
    if (interval := rate_interval(found, seed, draws=500)) is None:
        assert total(found).rate is None
    else:
        low, high = interval
        assert 0.0 <= low <= total(found).rate <= high


def test_an_interval_is_that_of_all_draws() -> None:
    """Of three utterances, all 27 draws by hand."""
    found = [counts(9, 1), counts(10), counts(4, 4)]
    rates = [
        100.0 * sum(each.errors for each in drawn) / sum(each.length for each in drawn)
        for drawn in itertools.product(found, repeat=3)
    ]
    expected = np.quantile(rates, [0.025, 0.975], method="inverted_cdf")
    assert rate_interval(found, 1) == pytest.approx(tuple(expected))


def test_an_interval_is_as_wide_as_theory_says_and_that_of_its_seed() -> None:
    random = np.random.default_rng(3)
    found = [counts(20 - int(wrong), int(wrong)) for wrong in random.binomial(20, 0.1, size=400)]
    low, high = rate_interval(found, 0, draws=4000)
    rates = np.array([each.rate for each in found])
    assert high - low == pytest.approx(2 * 1.96 * rates.std() / 20, rel=0.05)
    again = rate_interval(found, 0, draws=50)
    assert rate_interval(found, 0, draws=50) == again != rate_interval(found, 1, draws=50)


def test_a_small_difference_shows_where_both_fail_on_the_same() -> None:
    """The first's interval holds the second's rate, yet that of the difference is below zero."""
    random = np.random.default_rng(5)
    hard = random.integers(0, 15, size=100)
    first = [counts(20 - int(errors), int(errors)) for errors in hard]
    second = [
        counts(19 - int(errors), int(errors) + 1) if place % 4 == 0 else first[place]
        for place, errors in enumerate(hard)
    ]
    low, high = difference_interval(first, second, 0)
    assert total(first).rate - total(second).rate == pytest.approx(-1.25)
    assert low < -1.25 < high < 0.0
    assert rate_interval(first, 0)[0] < total(second).rate < rate_interval(first, 0)[1]
    assert difference_interval(second, first, 0) == pytest.approx((-high, -low))
    assert difference_interval(first, first, 0) == (0.0, 0.0)


def test_two_systems_are_held_against_the_same_references() -> None:
    with pytest.raises(ValueError, match="the same references"):
        difference_interval([counts(3)], [counts(4)], 0)
    with pytest.raises(ValueError, match="shorter"):
        difference_interval([counts(3)], [], 0)
    with pytest.raises(ValueError, match="shorter"):
        align(["a"], [], str, "words")
