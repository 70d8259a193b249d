"""What `edgedistill search` leaves: every trial, the front, and the one that was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from pydantic import JsonValue

from edgedistill.records.whole import WholeRecord

STUDY_FORMAT: Final = 1
"""Raised when a field of `search.json` changes its meaning or goes."""


@dataclass(frozen=True, kw_only=True)
class Varied:
    """A value of the recipe that is looked for: one of `choices`, or what lies in `bounds`."""

    key: str
    """As `--set` takes it."""
    own: JsonValue
    """What the recipe says."""
    choices: tuple[JsonValue, ...] | None = None
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training with a trial's values, for a share of the recipe's epochs."""

    number: int
    """In the order in which they began, from 0."""
    trial: int
    """The number of the first run with these values; 0 has the recipe's own."""
    share: float
    """Of the recipe's epochs; the learning rate's schedule is as much shorter."""
    values: dict[str, JsonValue]
    """By key."""
    seconds: float
    quality: float | None = None
    """On validation, in percent; None where it failed."""
    cost: float | None = None
    """Of one inference, in the study's unit."""
    macs: float | None = None
    """Millions of multiply-accumulates of one inference."""
    padded_macs: float | None = None
    """The same as the target's kernels compute them, where that is known."""
    params: float | None = None
    """Thousands."""
    reason: str | None = None
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class StudyRecord(WholeRecord):
    """A search, as far as it has come."""

    FILE: ClassVar[str] = "search.json"

    study_format: Literal[1] = STUDY_FORMAT
    metric: str
    """What quality is."""
    stage: str
    """The last one that a trial goes through, which is judged."""
    unit: str
    """Of costs."""
    limit: str
    """What the chosen one may cost, in words."""
    budget_s: float
    """Seconds of training that were granted."""
    spent_s: float
    """And those that were used, by runs that were interrupted too."""
    varied: tuple[Varied, ...]
    runs: tuple[Run, ...]
    front: tuple[int, ...]
    """Numbers of the runs that none is better than at a lower or equal cost, the cheapest
    first."""
    guess: int | None
    """The run of the recipe's own values that the chosen one is held against."""
    best: int | None
    """The run that was chosen: of those trained for the same share as `guess` and within `limit`,
    the best on validation."""
