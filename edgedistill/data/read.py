"""Samples that were not part of a recipe, as they were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgedistill.data.split import Labels
from edgedistill.errors import UserError

FIRST = 3
"""Samples left out that are named."""


@dataclass(frozen=True)
class Read:
    """Samples in memory, as a person gave them."""

    samples: NDArray[Any]
    """Images, (samples, height, width, channels) uint8; or windows of sound, (samples, length)
    float32 in -1..1."""
    labels: Labels
    """As in `Split`; -1 where nobody knows."""
    left_out: int
    """How many more there are, which cannot be decoded."""
    notes: tuple[str, ...]
    """What is not among them, in sentences: those, and files of kinds that are not read."""


def left_out(problems: Sequence[str], total: int, word: str) -> str:
    """In a sentence. Raises UserError: nothing is left."""
    told = f"{len(problems)} of {total} {word} cannot be read"
    if len(problems) == total:
        raise UserError(f"{told}; first {problems[0]}", "mend them, or give others")
    more = ", ..." if len(problems) > FIRST else ""
    return f"{told} and are left out: {', '.join(problems[:FIRST])}{more}"
