"""Greedy decoding of a window, token by token."""

from __future__ import annotations

from typing import Any

import numpy as np

from .runtime import Arrays, Program, to_native, to_real


class Decoder:
    """Both programs of a recognizer. What `encode` gives, and the states, go into each step as the
    file holds them."""

    def __init__(
        self, encode: Program, step: Program, rules: dict[str, Any], guards: dict[str, Any]
    ) -> None:
        self._encode, self._program = encode, step
        self._rules, self._guards = rules, guards
        self._heard: Arrays = {}
        self._states: Arrays = {}

    def decode(self, samples: Any) -> tuple[list[int], bool]:
        """The tokens of a window (1, samples) in -1..1, and whether the model ended them itself.

        Raises ValueError: the model gives what is no number.
        """
        (spec,) = self._encode.inputs
        self._heard = self._encode.run({spec["name"]: to_native(samples, spec)})
        self._states = self._program.beginning()
        rules, prompt = self._rules, self._rules["prompt"]
        logits: Any = None
        for position, token in enumerate(prompt):
            logits = self._step(token, position)
            if position == 0 and rules["no_speech"] is not None:
                spoken = _probability(logits, rules["no_speech"]) <= self._guards["no_speech"]
                if not spoken:
                    return [], True
        said: list[int] = []
        while True:
            logits[rules["suppressed"]] = -np.inf
            if not said:
                logits[rules["suppressed_first"]] = -np.inf
            token = int(logits.argmax())
            if not np.isfinite(logits[token]):
                raise ValueError("the model gives what is no number")
            if token == rules["end"]:
                return said, True
            said.append(token)
            again = self._again(said)
            if again is not None:
                return said[:again], False
            if len(prompt) + len(said) >= rules["limit"]:
                return said, False
            logits = self._step(token, len(prompt) + len(said) - 1)

    def _step(self, token: int, position: int) -> Any:
        """Logits (tokens,)."""
        here = {
            "token": np.array([token], np.int32), "position": np.array([position], np.int32),
        }  # fmt: skip
        outputs, self._states = self._program.step({**here, **self._heard}, self._states)
        answer = self._program.answer
        return to_real(outputs[answer["name"]], answer)[0].copy()

    def _again(self, said: list[int]) -> int | None:
        """How many tokens stay where the last ones repeat themselves too often; else None."""
        if self._guards["repeats"] is None:
            return None
        most, length = 0, 0
        for n in range(1, self._guards["longest"] + 1):
            times, end = 0, len(said) - n
            while end >= n and said[end - n : end] == said[-n:]:
                times, end = times + 1, end - n
            if times > most:
                most, length = times, n
        return len(said) - most * length if most > self._guards["repeats"] else None


def _probability(logits: Any, token: int) -> float:
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max())
    return float(powers[token] / powers.sum())
