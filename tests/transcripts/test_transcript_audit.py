from __future__ import annotations

import pytest

from edgedistill.transcripts.audit import CASES, Heard, SpeechAudit


def heard(
    reference: str, teacher: str, shipped: str, seconds: float = 3.0, speaker: str | None = "a"
) -> Heard:
    return Heard(name=reference, speaker=speaker, seconds=seconds, reference=reference,
                 teacher=teacher, shipped=shipped)  # fmt: skip


def audit(*given: Heard) -> SpeechAudit:
    return SpeechAudit(given, str)


def test_lengths_end_at_the_window() -> None:
    seconds = (4.9, 5.0, 9.0, 10.0, 16.0, 16.1)
    found = audit(*(heard("a b", "a b", "a x", each) for each in seconds)).by_length(16)
    assert {each.name: each.utterances for each in found} == {
        "under 5 s": 1, "5 to 10 s": 2, "10 to 16 s": 2, "longer than 16 s": 1,
    }  # fmt: skip
    assert {each.shipped for each in found} == {50.0}
    short = audit(heard("a", "a", "a", 5), heard("a", "a", "a", 6)).by_length(5)
    assert [each.name for each in short] == ["under 5 s", "longer than 5 s"]


def test_speakers_are_those_who_are_named_the_worst_first() -> None:
    found = audit(
        heard("a b", "a b", "a b", speaker="well"),
        heard("a b", "a x", "x x", speaker="badly"),
        heard("a b", "a b", "a b", speaker=None),
    ).by_speaker()
    assert [(each.name, each.teacher, each.shipped) for each in found] == [
        ("badly", 50.0, 100.0), ("well", 0.0, 0.0),
    ]  # fmt: skip


def test_errors_are_the_teachers_own_where_they_lie_at_the_same_words() -> None:
    copied = audit(
        heard("a b c d", "a x c d", "a x c d"),  # the very same
        heard("a b c d", "a x c d", "a y c d"),  # at the same word
        heard("a b c d", "a x c d", "a b c y"),  # elsewhere
        heard("a b c d", "a b c d", "a b c y"),  # where it is right
    ).copied()
    assert copied.errors == 4
    assert (copied.at_the_same, copied.same) == (50.0, 25.0)
    assert copied.by_chance == pytest.approx(100 * 3 * 0.25 / 4)
    assert copied.teacher_right.utterances == 1 and copied.teacher_wrong.utterances == 3
    assert copied.teacher_right.shipped == 25.0


def test_what_is_added_counts_between_words() -> None:
    copied = audit(heard("a b c", "a x b c", "a x b c")).copied()
    assert copied.at_the_same == copied.same == 100.0
    assert copied.by_chance == 25.0


def test_of_no_errors_nothing_is_told() -> None:
    copied = audit(heard("a", "a", "a")).copied()
    assert (copied.errors, copied.at_the_same, copied.by_chance, copied.same) == (0, *[None] * 3)
    assert copied.teacher_wrong.shipped is None


def test_the_worst_are_those_with_the_most_errors() -> None:
    told = audit(
        heard("a b", "a b", "a b"), heard("a b", "a b", "a x"), heard("a b c", "a b", "x x x")
    )
    found = list(told.worst())
    assert [(at, case.errors, case.teacher_errors) for at, case in found] == [(2, 3, 1), (1, 1, 0)]
    assert [each.kind for each in found[0][1].teacher] == ["right", "right", "left out"]
    many = audit(*(heard("a", "a", "x") for _ in range(CASES + 3)))
    assert len(list(many.worst())) == CASES
