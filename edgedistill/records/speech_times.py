"""What a recognizer's files take on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgedistill.records.codec import Record


@dataclass(frozen=True, kw_only=True)
class RecognizerTimes:
    """Of both programs in a runtime and a precision, in processes of their own, taken in turn."""

    model: Literal["student", "teacher"]
    """`teacher`: whole, with its whole window."""
    runtime: str
    precision: str
    bytes: int
    cold_load_ms: float
    """First load of both in a fresh process. The files may lie in the system's page cache."""
    warm_load_ms: float
    peak_memory_mb: float | None
    """Above the process with the runtime loaded, in 10^6 bytes, of a load and one window, in a run
    that took no times; None where the system does not tell."""
    sound_seconds: float
    """That is transcribed in each round."""
    seconds: tuple[float, ...]
    """That each round took."""
    real_time_factor: float
    """Median."""
    first_token_seconds: float
    """Median, from the samples of a window to the first token of the transcript."""
    tokens_per_second: float
    threads: int
    where: str
    """The machine, in words."""


@dataclass(frozen=True, kw_only=True)
class SpeechTimesRecord(Record):
    """Every file that was measured."""

    FILE: ClassVar[str] = "speech_times.json"

    rows: tuple[RecognizerTimes, ...]
    what: str
    """What was transcribed, in words."""

    def of(self, model: str, runtime: str, precision: str) -> RecognizerTimes | None:
        """The row of a model's files, if they were measured."""
        key = model, runtime, precision
        return next((e for e in self.rows if (e.model, e.runtime, e.precision) == key), None)
