from __future__ import annotations

import pytest

from edgedistill.records.speech_audit import Piece
from edgedistill.transcripts.differences import differences


def compared(said: str, heard: str) -> list[tuple[int, str, str]]:
    found = differences(said, heard, str.lower)
    return [(each.at, each.piece.text, each.piece.kind) for each in found]


def test_each_word_is_right_wrong_added_or_left_out() -> None:
    assert compared("the cat sat on it", "The hat sat sat it") == [
        (0, "the", "right"), (1, "hat", "wrong"), (2, "sat", "right"), (3, "sat", "wrong"),
        (4, "it", "right"),
    ]  # fmt: skip
    assert compared("a b", "a x b") == [(0, "a", "right"), (1, "x", "added"), (1, "b", "right")]
    assert compared("a b c", "a c") == [(0, "a", "right"), (1, "b", "left out"), (2, "c", "right")]


@pytest.mark.parametrize(
    ("said", "heard", "kinds"), [("", "", []), ("", "a b", ["added"] * 2), ("a", "", ["left out"])]
)
def test_nothing_said_or_heard_is_compared_too(said: str, heard: str, kinds: list[str]) -> None:
    assert [kind for _, _, kind in compared(said, heard)] == kinds


def test_a_place_is_at_a_word_or_between_two() -> None:
    (_, added, _) = differences("a b", "a x b", str)
    assert added.place == (1, True) and added.is_error
    assert added.piece == Piece("x", "added")
