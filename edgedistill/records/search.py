"""What the stage `search` leaves: the best of its trials, and the curve of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgedistill.records.codec import Record


@dataclass(frozen=True)
class SearchPoint:
    """What a search over the losses changes."""

    temperature: float
    """Of every loss that has one."""
    share: float
    """Of the weight that labels and the teacher's answers have together, the part of the
    answers."""


@dataclass(frozen=True, kw_only=True)
class Trial(SearchPoint):
    """A short training with the trial's values."""

    number: int
    state: str
    """`complete`, or `pruned` where it was ended early."""
    validation_quality: float | None
    """In percent."""
    curve: tuple[float, ...]
    """The quality after each epoch."""


@dataclass(frozen=True)
class SearchRecord(Record):
    """All trials that ended, in the order in which they began."""

    FILE: ClassVar[str] = "search.json"

    best: SearchPoint
    trials: tuple[Trial, ...]
