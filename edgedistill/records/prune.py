"""What the stage `prune` keeps of each of its rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgedistill.records.codec import Record


@dataclass(frozen=True)
class PruneRound(Record):
    """A pruning and the training after it, of a model whose folder it lies in."""

    FILE: ClassVar[str] = "round.json"

    images_per_second: float
    seconds: float
    samples_seen: float
    """Images trained on, each as often as it was seen."""
    macs: float
    """Millions of multiply-accumulates that are left."""
    params: float
    """Thousands."""
