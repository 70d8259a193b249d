"""A step program as an ear: samples in, in pieces of any length, probabilities of keywords out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import UserError
from edgedistill.tasks.calibration import softmax

Floats = NDArray[np.floating[Any]]
Step = Callable[[NDArray[np.float32]], Floats]
"""A hop of samples (1, hop), float32 in -1..1, to logits (1, classes); it keeps its state."""


@dataclass(frozen=True)
class Hops:
    """How a step program takes sound, and which of its answers are keywords'."""

    hop: int
    """Samples of one step."""
    lead_in: int
    """Samples of silence before the first, a multiple of `hop`."""
    temperature: float
    keywords: tuple[int, ...]
    """Their classes."""


class Ear:
    """One stream, from its beginning: the step program has to be at its own."""

    def __init__(self, step: Step, hops: Hops) -> None:
        self._step, self._hops = step, hops
        self._kept = np.zeros(0, np.float32)
        silence = np.zeros((1, hops.hop), np.float32)
        for _ in range(hops.lead_in // hops.hop):
            step(silence)

    def feed(self, samples: NDArray[Any]) -> Floats:
        """Probabilities (steps, keywords) of the hops that these samples (any number,) complete;
        what is left over waits for the next ones."""
        whole = np.concatenate([self._kept, as_real(samples)])
        hop = self._hops.hop
        steps = len(whole) // hop
        self._kept = whole[steps * hop :]
        if not steps:
            return np.zeros((0, len(self._hops.keywords)))
        logits = np.concatenate([self._step(each[None]) for each in _split(whole, hop, steps)])
        chosen: Floats = softmax(logits, self._hops.temperature)[:, list(self._hops.keywords)]
        return chosen


def _split(whole: NDArray[np.float32], hop: int, steps: int) -> Sequence[NDArray[np.float32]]:
    return list(whole[: steps * hop].reshape(steps, hop))


def as_real(samples: Any) -> NDArray[np.float32]:
    """Samples (any number,) as float32 in -1..1: int16 are divided by 32,768, floats kept within.

    Raises UserError: another shape or type, or a value that is no number.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise UserError(
            f"sound of shape {samples.shape}; one channel, (samples,), is meant",
            "mix several channels down: `samples.mean(axis=1)`",
        )
    if samples.dtype == np.int16:
        real: NDArray[np.float32] = np.multiply(samples, np.float32(1 / 32768), dtype=np.float32)
        return real
    if samples.dtype.kind != "f":
        raise UserError(
            f"sound as {samples.dtype}; int16, or floats in -1..1, are meant", "convert it"
        )
    if not np.isfinite(samples).all():
        raise UserError("sound with NaN or infinite samples", "leave out what was not recorded")
    within: NDArray[np.float32] = np.clip(samples, -1.0, 1.0).astype(np.float32)
    return within
