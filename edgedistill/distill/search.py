"""What a search over the losses changes: how soft the teacher's answers are, and how far they
count against the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from edgedistill.recipe import Loss


@dataclass(frozen=True)
class Found:
    """temperature: of every loss that has one; share: of the weight that labels and the teacher's
    answers have together, the part of the answers."""

    temperature: float
    share: float

    @classmethod
    def of(cls, losses: Sequence[Loss]) -> Found:
        """The values that a recipe's losses have already."""
        soft = [loss for loss in losses if loss.learns_from == "answers"]
        answers = sum(loss.weight for loss in soft)
        labels = sum(loss.weight for loss in losses if loss.learns_from == "labels")
        return cls(_temperature(soft), answers / (answers + labels))

    def values(self) -> dict[str, float]:
        """By name, as a trial is given them."""
        return asdict(self)


def changed(losses: Sequence[Loss], found: Found) -> tuple[Loss, ...]:
    """The losses with these values; all other losses stay as they are."""
    before = Found.of(losses)
    made: list[Loss] = []
    for loss in losses:
        if loss.learns_from == "answers":
            softness = {"temperature": found.temperature} if hasattr(loss, "temperature") else {}
            weight = loss.weight * found.share / before.share
            made.append(loss.model_copy(update={**softness, "weight": weight}))
        elif loss.learns_from == "labels" and before.share < 1:
            weight = loss.weight * (1 - found.share) / (1 - before.share)
            made.append(loss.model_copy(update={"weight": weight}))
        else:
            made.append(loss)
    return tuple(made)


def _temperature(losses: Sequence[Loss]) -> float:
    """Of the first that has one; 1 where none has."""
    return float(next((each.temperature for each in losses if hasattr(each, "temperature")), 1.0))
