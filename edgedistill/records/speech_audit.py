"""What a recognizer does beyond its error rate: for whom, how long, and where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgedistill.records.codec import Record


@dataclass(frozen=True, kw_only=True)
class GroupRate:
    """Word error rates of some of the utterances, in percent; None where no word was said."""

    name: str
    utterances: int
    reference_words: int
    seconds: float
    teacher: float | None
    shipped: float | None


@dataclass(frozen=True, kw_only=True)
class CopiedErrors:
    """Whether the student has its errors from the teacher. Shares are of its errors, in percent;
    None where it makes none."""

    errors: int
    """Words that it says otherwise, leaves out or adds."""
    at_the_same: float | None
    """Where the teacher makes an error at the same word."""
    by_chance: float | None
    """The same, if the teacher's errors lay anywhere in the same utterance."""
    same: float | None
    """Where the teacher makes the very same error."""
    teacher_right: GroupRate
    """Utterances in which the teacher makes no error."""
    teacher_wrong: GroupRate


Kind = Literal["silence", "white noise", "tones", "noise"]
"""Where nothing is said; `noise` is the recipe's own."""


@dataclass(frozen=True, kw_only=True)
class MadeUp:
    """Words that are said of a sound without speech. Without guards silence is decoded too."""

    sound: Kind
    seconds: float
    shipped: int
    """By the files that ship, with their guards."""
    shipped_unguarded: int
    teacher: int
    """By the teacher as it was given, with the same guards."""
    teacher_unguarded: int


@dataclass(frozen=True)
class Piece:
    """A word of a transcript, or of its reference where it is left out."""

    text: str
    kind: Literal["right", "wrong", "added", "left out"]


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """An utterance, as error rates are counted: after the normalizer."""

    name: str
    speaker: str | None
    seconds: float
    errors: int
    teacher_errors: int
    reference: str
    teacher: tuple[Piece, ...]
    shipped: tuple[Piece, ...]
    sound: str
    """A FLAC file beside the record; empty where there was no room for it."""


@dataclass(frozen=True, kw_only=True)
class SpeechAuditRecord(Record):
    """Of the file that ships, beside the teacher as it was given."""

    FILE: ClassVar[str] = "speech_audit.json"

    runtime: str
    precision: str
    by_length: tuple[GroupRate, ...]
    by_speaker: tuple[GroupRate, ...]
    """Those with the highest rates first; of many the first."""
    speakers: int
    """That are known."""
    copied: CopiedErrors
    made_up: tuple[MadeUp, ...]
    cases: tuple[WorstCase, ...]
    """With the most errors, by the file that ships."""
