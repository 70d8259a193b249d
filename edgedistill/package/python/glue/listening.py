"""Keywords in a stream of sound."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from .app import Description
from .runtime import Program, to_native, to_real
from .sounds import as_real


@dataclass(frozen=True)
class Detection:
    """A keyword that was heard."""

    keyword: str
    seconds: float
    """From the beginning of the stream to the end of the step that heard it."""
    confidence: float
    """Its smoothed probability."""


class Listener:
    """One stream, from its beginning."""

    def __init__(self, app: Description, threads: int) -> None:
        self._told = app.document["listening"]
        self._step = Program(app, self._told["program"], threads)
        labels = app.document["labels"]
        self._classes = [labels.index(name) for name in self._told["thresholds"]]
        self._temperature = app.document["temperature"]
        self.restart()

    def restart(self) -> None:
        """Begin another stream."""
        self._states = self._step.beginning()
        self._left = np.zeros(0, np.float32)
        steps, keywords = self._told["smoothing"], len(self._classes)
        self._before = deque([np.zeros(keywords)] * steps, steps)
        self._done = 0
        self._last: dict[str, int] = {}
        for _ in range(self._told["lead_in"] // self._told["hop"]):
            self._ask(np.zeros(self._told["hop"], np.float32))

    def feed(self, chunk: Any) -> list[Detection]:
        """What is heard in these samples (any number,); what completes no hop waits for the next
        ones."""
        whole = np.concatenate([self._left, as_real(chunk)])
        hop, found = self._told["hop"], []
        steps = len(whole) // hop
        self._left = whole[steps * hop :]
        for at in range(steps):
            found += self._decide(self._ask(whole[at * hop : (at + 1) * hop]))
        return found

    def _ask(self, samples: Any) -> Any:
        """Probabilities of the keywords after a hop."""
        (spec,) = self._step.fresh
        fed = {spec["name"]: to_native(samples[None], spec)}
        outputs, self._states = self._step.step(fed, self._states)
        answer = self._step.answer
        real = to_real(outputs[answer["name"]], answer)[0]
        return softmax(real, self._temperature)[self._classes]

    def _decide(self, probabilities: Any) -> list[Detection]:
        self._before.append(probabilities)
        total = np.zeros(len(self._classes))
        for each in self._before:  # from the oldest to the newest: the same bits everywhere
            total += each
        smooth = total / len(self._before)
        found = []
        for place, (keyword, threshold) in enumerate(self._told["thresholds"].items()):
            last = self._last.get(keyword)
            rested = last is None or self._done - last > self._told["refractory"]
            if smooth[place] > threshold and rested:
                self._last[keyword] = self._done
                seconds = (self._done + 1) * self._told["hop"] / self._told["rate"]
                found.append(Detection(keyword, seconds, float(smooth[place])))
        self._done += 1
        return found


def softmax(logits: Any, temperature: float) -> Any:
    """Probabilities (classes,), float64, of logits (classes,)."""
    exact = logits.astype(np.float64)
    powers = np.exp((exact - exact.max()) / temperature)
    return powers / powers.sum()
