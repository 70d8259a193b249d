"""What the stage `listen` leaves: the rule by which a keyword counts as heard, and what that hears
and misses on long audio.

Misses are in percent of the keywords said, false accepts an hour are of audio without a keyword,
intervals hold the true value 95 times out of a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgedistill.records.codec import Record
from edgedistill.target import Precision, RuntimeName

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a stream of probabilities becomes keywords heard."""

    keywords: tuple[str, ...]
    thresholds: tuple[float, ...]
    """For each keyword, what its smoothed probability has to exceed."""
    smoothing: int
    """Steps over which a probability is averaged: this one and those before it, zero before the
    first."""
    refractory: int
    """Steps after one detection of a keyword in which it is not detected again."""


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """What was heard of one keyword, or of all of them."""

    keyword: str | None
    """None for all of them."""
    said: int
    """How often it was to be heard."""
    missed: int
    misses: float | None
    """In percent; None where it was never said."""
    misses_interval: Interval | None
    """Wilson 1927."""
    false_accepts: int
    """Detections where it was not said, or was heard already."""
    false_accepts_per_hour: float
    false_accepts_interval: Interval
    """Of a Poisson process, an hour (Garwood 1936)."""
    delay_ms: float | None
    """Median, from the end of a keyword's recording to its detection; below 0 where that comes
    first. None where none was heard."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One split's long audio."""

    hours: float
    """Without a keyword."""
    keywords: tuple[Hearing, ...]
    all: Hearing


@dataclass(frozen=True)
class CurvePoint:
    """What one threshold gives."""

    threshold: float
    missed: int
    false_accepts: int


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One keyword's, with the smoothing and refractory time of the rule, from the lowest threshold
    to the highest."""

    keyword: str
    said: int
    hours: float
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Whether another file decides as the one by which the rule was chosen."""

    runtime: RuntimeName
    precision: Precision
    file: str
    detections: int
    """Of that one, on the same audio."""
    same: int
    """Of these, the file's own: the same keyword, at most 100 ms or a smoothing apart."""
    further: int
    """The file's detections that are none of that one's."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A short recording of what went wrong on the test set."""

    kind: Literal["missed", "false accept"]
    keyword: str
    confidence: float
    """The highest that the smoothed probability came."""
    seconds: float
    """In the test set's long audio."""
    sound: str
    """A WAV file in the stage's folder."""


@dataclass(frozen=True, kw_only=True)
class ListenRecord(Record):
    """The rule, chosen on validation audio and tried on the test set's."""

    FILE: ClassVar[str] = "listen.json"

    program: str
    runtime: RuntimeName
    precision: Precision
    file: str
    """Whose answers the rule was chosen by."""
    input: str
    """Which of the program's inputs takes the samples."""
    rate: int
    """Samples in a second."""
    hop: int
    """Samples that one step takes."""
    lead_in: int
    """Samples of silence that are fed before the first of a stream, so that its state is that of
    quiet and not of nothing."""
    temperature: float
    """By which logits are divided."""
    rule: Rule
    limit: float
    """False accepts an hour, of all keywords, under which the rule was chosen."""
    within_limit: bool
    """Whether any threshold of every keyword kept it on validation."""
    validation: Heard
    test: Heard
    validation_curves: tuple[Curve, ...]
    test_curves: tuple[Curve, ...]
    alike: tuple[Alike, ...]
    alike_minutes: float
    cases: tuple[Case, ...]
