"""Losses: one file each, with what a recipe says of it and how it is computed, and one table."""

from __future__ import annotations

from collections.abc import Sequence

from edgedistill.losses.attention import Attention
from edgedistill.losses.base import LossCommon
from edgedistill.losses.bounded import Bounded
from edgedistill.losses.decoupled import Decoupled
from edgedistill.losses.exits import Exits
from edgedistill.losses.hints import Hints
from edgedistill.losses.labels import Labels
from edgedistill.losses.peers import Peers
from edgedistill.losses.relations import Relations
from edgedistill.losses.similarity import Similarity
from edgedistill.losses.soft_targets import SoftTargets

__all__ = ["LOSSES", "LossCommon", "needs_answers", "needs_layers"]

LOSSES: list[type[LossCommon]] = [
    Labels, SoftTargets, Decoupled, Bounded, Hints, Attention, Relations, Similarity, Exits, Peers,
]  # fmt: skip
"""In the order in which the schema lists them."""


def needs_answers(losses: Sequence[LossCommon]) -> bool:
    """Whether any loss with a weight reads the teacher's outputs."""
    return any(loss.reads_answers for loss in losses if loss.weight > 0)


def needs_layers(losses: Sequence[LossCommon]) -> bool:
    """Whether any loss with a weight looks into the teacher while it runs."""
    return any(loss.reads_layers for loss in losses if loss.weight > 0)
