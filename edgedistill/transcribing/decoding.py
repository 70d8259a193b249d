"""Greedy decoding: the reference that every other decoder is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgedistill.records.recognizer import Guards, Rules

__all__ = ["Decoded", "Floats", "Guards", "Recognizer", "Rules", "greedy"]

Floats = NDArray[np.float32]


class Recognizer(Protocol):
    """A model that has heard a window, and says one token after the other."""

    def hear(self, samples: Floats) -> None:
        """Begin with a window of samples (length,) in -1..1, float32."""

    def step(self, token: int, position: int) -> Floats:
        """Logits (vocabulary,), float32, of what follows `token`, at `position` from 0."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What was made of a window."""

    tokens: tuple[int, ...]
    """Without prompt and end."""
    log_probability: float
    """Of a token, natural, on average, the end with them; after what is suppressed."""
    no_speech: float
    """Its probability; 0 where the model has no token for it."""
    ended: bool
    """Whether the model ended it itself."""
    looped: bool = False
    """Whether it was ended as it repeated itself."""


def greedy(
    recognizer: Recognizer, samples: Floats, rules: Rules, guards: Guards | None = None
) -> Decoded:
    """The likeliest token, one after the other, of a window of samples (length,).

    As Hugging Face's `generate` with one beam and no times (Radford et al. 2023, section 4.5, at
    the temperature 0).
    """
    guards = guards or Guards()
    recognizer.hear(samples)
    no_speech, logits = _prompted(recognizer, rules)
    if no_speech > guards.no_speech:
        return Decoded(tokens=(), log_probability=0.0, no_speech=no_speech, ended=True)
    said: list[int] = []
    sure: list[float] = []
    while True:
        logits[list(rules.suppressed)] = -np.inf
        if not said:
            logits[list(rules.suppressed_first)] = -np.inf
        token = int(logits.argmax())
        sure.append(_log_probability(logits, token))
        if token == rules.end:
            return _decoded(said, sure, no_speech, ended=True)
        said.append(token)
        if guards.repeats is not None:
            times, n = _loop(said, guards.longest)
            if times > guards.repeats:
                return _decoded(said[: len(said) - times * n], sure, no_speech, looped=True)
        if len(rules.prompt) + len(said) >= rules.limit:
            return _decoded(said, sure, no_speech)
        logits = recognizer.step(token, len(rules.prompt) + len(said) - 1)


def _prompted(recognizer: Recognizer, rules: Rules) -> tuple[float, Floats]:
    """The probability of no speech, and the logits of the first token."""
    no_speech, logits = 0.0, np.zeros(0, np.float32)
    for position, token in enumerate(rules.prompt):
        logits = recognizer.step(token, position)
        if position == 0 and rules.no_speech is not None:
            no_speech = float(np.exp(_log_probability(logits, rules.no_speech)))
    return no_speech, logits


def _log_probability(logits: Floats, token: int) -> float:
    exact = logits.astype(np.float64)
    highest = exact.max()
    return float(exact[token] - highest - np.log(np.exp(exact - highest).sum()))


def _decoded(
    said: Sequence[int],
    sure: Sequence[float],
    no_speech: float,
    ended: bool = False,
    looped: bool = False,
) -> Decoded:
    return Decoded(
        tokens=tuple(said), log_probability=float(np.mean(sure)), no_speech=no_speech,
        ended=ended, looped=looped,
    )  # fmt: skip


def _loop(said: Sequence[int], longest: int) -> tuple[int, int]:
    """How many times the last n-gram follows itself, and how long it is: of all, what repeats
    most."""
    found = (0, 0)
    for n in range(1, longest + 1):
        last, times, end = said[-n:], 0, len(said) - n
        while end >= n and said[end - n : end] == last:
            times, end = times + 1, end - n
        found = max(found, (times, n), key=lambda each: each[0])
    return found
