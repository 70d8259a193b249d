"""What the stage `judge` leaves beside its label filter: how good the teacher's answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgedistill.records.audit import Part
from edgedistill.records.codec import Record


@dataclass(frozen=True)
class Confusion:
    """A label that the teacher takes for another, and how often."""

    from_: Annotated[str, Field(alias="from")]
    """The label."""
    to: str
    """The teacher's answer."""
    count: int


@dataclass(frozen=True)
class ConfidenceShare:
    """Samples whose confidence is in [low, high), in the last bin also 1."""

    low: float
    high: float
    count: int
    share: float


@dataclass(frozen=True)
class TeacherErrors:
    """What a student would learn wrongly, of the training samples whose label is known."""

    samples: int
    wrong: Part
    unsure: Part
    """Where the two likeliest classes are close."""
    disagreeing: Part | None
    """Where not all members of an ensemble vote for the answer; None without members."""
    confusions: tuple[Confusion, ...]
    """The most frequent."""
    confidence: tuple[ConfidenceShare, ...]
    """Of all training samples."""


@dataclass(frozen=True)
class TeacherCalibration:
    """Of the teacher's answers to the validation samples."""

    temperature: float
    """What fits them best."""
    before: float
    """Expected calibration error, in percent."""
    after: float
    """The same at that temperature."""


@dataclass(frozen=True)
class JudgeRecord(Record):
    """What `judge.json` holds."""

    FILE: ClassVar[str] = "judge.json"

    errors: TeacherErrors
    calibration: TeacherCalibration | None
    """None where the teacher was not asked about validation."""
    handled: dict[str, int]
    """Answers by what becomes of them, those that are kept left out."""
