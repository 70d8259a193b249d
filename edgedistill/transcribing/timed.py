"""How long a recognizer takes."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from edgedistill.transcribing.decoding import Floats, Recognizer


@dataclass
class Timed:
    """A recognizer, and what it takes."""

    inner: Recognizer
    hearing: list[float] = field(default_factory=list)
    """Seconds, of each window."""
    steps: int = 0
    stepping: float = 0.0
    """Seconds of all steps."""

    def hear(self, samples: Floats) -> None:
        """See `Recognizer`."""
        begin = time.perf_counter()
        self.inner.hear(samples)
        self.hearing.append(time.perf_counter() - begin)

    def step(self, token: int, position: int) -> Floats:
        """See `Recognizer`."""
        begin = time.perf_counter()
        logits = self.inner.step(token, position)
        self.stepping += time.perf_counter() - begin
        self.steps += 1
        return logits

    @property
    def step_seconds(self) -> float:
        """Of a step, on average."""
        return self.stepping / max(self.steps, 1)

    def first_token_seconds(self, prompt: int) -> float:
        """Median, from the samples of a window to the first token of the transcript, behind a
        prompt of so many."""
        return statistics.median(self.hearing or [0.0]) + prompt * self.step_seconds

    @property
    def tokens_per_second(self) -> float:
        """Of steps; 0 where nothing was said."""
        return 1 / self.step_seconds if self.steps else 0.0
