"""Loops of a decoder, found in its text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.transcripts.loops import compression_ratio, longest_n_gram, repeats, words

WORDS = st.text("abcdef", min_size=1, max_size=3)
ORDINARY = """The waters were made to stand firm as a wall on either side, and it is said that
that was the first time. No, no, I had had enough of it; some sung out, tear down the fence, tear
down the fence, and they had had the picks and axes there to do it with."""


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("", 0),
        ("one", 0),
        ("no, no, no", 2),
        ("Thank you. Thank you! THANK YOU", 2),
        ("a b c a b c a b", 1),  # the third is not whole
        ("so a b a b a b it ends", 2),
        ("a b a c a d", 0),
        ("1 2 3 4 5 6 7 8 1 2 3 4 5 6 7 8", 1),
        ("1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9", 0),  # longer than is looked for
        ("one one one one one", 4),  # which the normalizer makes one number
        (ORDINARY, 1),
    ],
)
def test_how_often_an_n_gram_follows_itself(text: str, times: int) -> None:
    assert repeats(words(text, "en"), longest_n_gram("en")) == times


@given(
    st.lists(WORDS, max_size=10),
    st.lists(WORDS, min_size=1, max_size=8),
    st.lists(WORDS, max_size=10),
    st.integers(2, 12),
)
@settings(max_examples=40, deadline=None)
def test_any_repeated_phrase_is_found(
    before: list[str], phrase: list[str], after: list[str], times: int
) -> None:
    assert repeats(before + phrase * times + after, 8) >= times - 1


@given(st.lists(WORDS, unique=True))
@settings(max_examples=20, deadline=None)
def test_without_a_word_said_twice_nothing_is_found(said: list[str]) -> None:
    assert repeats(said, 8) == 0


def test_a_phrase_without_spaces_is_found_by_its_characters() -> None:
    said = words("ご視聴ありがとうございました。" * 5, "ja")
    assert len(said) == 70
    assert repeats(said, longest_n_gram("ja")) == 4
    assert repeats(words("今日はとてもいい天気ですね。", "ja"), longest_n_gram("ja")) == 1


def test_words_are_as_they_were_said() -> None:
    assert words("Don't “stop” at twenty-one, 1st!", "en") == [
        "dont", "stop", "at", "twenty", "one", "1st",
    ]  # fmt: skip
    assert words("हिन्दी में", "hi") == ["हिन्दी", "में"]
    assert words("你好, 世界!", "zh") == ["你", "好", "世", "界"]


def test_what_repeats_itself_is_compressed() -> None:
    assert compression_ratio("") == 0.0
    assert 1.0 < compression_ratio(ORDINARY) < 2.4
    assert compression_ratio("and so on and on " * 20) > 2.4
