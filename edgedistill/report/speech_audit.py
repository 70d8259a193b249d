"""The audit of a recognizer as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgedistill.records.speech_audit import CopiedErrors, GroupRate, MadeUp, SpeechAuditRecord

Table = tuple[str, list[str], list[list[Any]]]
"""A title, a header, and rows; numbers stay numbers."""


def speech_tables(record: SpeechAuditRecord) -> list[Table]:
    """In the order in which one asks; rates and shares are in percent."""
    found = [("By length of the utterance", *_rates("length", record.by_length))]
    if record.by_speaker:
        more = record.speakers - len(record.by_speaker)
        title = "By speaker" + (f", the worst {len(record.by_speaker)}" if more else "")
        found.append((title, *_rates("speaker", record.by_speaker)))
    found.append(_made_up(record.made_up))
    return [*found, *_copied(record.copied)]


def _rates(what: str, groups: Sequence[GroupRate]) -> tuple[list[str], list[list[Any]]]:
    header = [what, "utterances", "words", "seconds", "teacher WER %", "shipped WER %", "points"]
    rows: list[list[Any]] = [
        [each.name, each.utterances, each.reference_words, round(each.seconds, 1), each.teacher,
         each.shipped, _points(each)]
        for each in groups
    ]  # fmt: skip
    return header, rows


def _points(group: GroupRate) -> float | None:
    if group.teacher is None or group.shipped is None:
        return None
    return group.shipped - group.teacher


def _made_up(found: Sequence[MadeUp]) -> Table:
    header = [
        "sound",
        "seconds",
        "shipped",
        "shipped, no guards",
        "teacher, same guards",
        "teacher",
    ]
    rows: list[list[Any]] = [
        [each.sound, round(each.seconds, 1), each.shipped, each.shipped_unguarded, each.teacher,
         each.teacher_unguarded]
        for each in found
    ]  # fmt: skip
    return "Words made up where nothing is said", header, rows


def _copied(found: CopiedErrors) -> list[Table]:
    header = ["errors", "at a word where the teacher errs %", "by chance %", "the same error %"]
    row: list[Any] = [found.errors, found.at_the_same, found.by_chance, found.same]
    return [
        ("Errors that the teacher makes too", header, [row]),
        (
            "Where the teacher is right, and where it is wrong",
            *_rates("transcript", (found.teacher_right, found.teacher_wrong)),
        ),
    ]
