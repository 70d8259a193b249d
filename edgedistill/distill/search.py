"""What a search over the losses changes: how soft the teacher's answers are, and how far they
count against the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from edgedistill.recipe import Decoupled, Labels, Loss, SoftTargets

_SOFT = (SoftTargets, Decoupled)


@dataclass(frozen=True)
class Found:
    """temperature: of every loss that has one; share: of the weight that labels and the teacher's
    answers have together, the part of the answers."""

    temperature: float
    share: float

    @classmethod
    def of(cls, losses: Sequence[Loss]) -> Found:
        """The values that a recipe's losses have already."""
        soft = [loss for loss in losses if isinstance(loss, _SOFT)]
        answers = sum(loss.weight for loss in soft)
        labels = sum(loss.weight for loss in losses if isinstance(loss, Labels))
        return cls(soft[0].temperature, answers / (answers + labels))

    def values(self) -> dict[str, float]:
        return asdict(self)


def changed(losses: Sequence[Loss], found: Found) -> tuple[Loss, ...]:
    """The losses with these values; all other losses stay as they are."""
    before = Found.of(losses)
    made: list[Loss] = []
    for loss in losses:
        if isinstance(loss, _SOFT):
            weight = loss.weight * found.share / before.share
            update = {"temperature": found.temperature, "weight": weight}
            made.append(loss.model_copy(update=update))
        elif isinstance(loss, Labels) and before.share < 1:
            weight = loss.weight * (1 - found.share) / (1 - before.share)
            made.append(loss.model_copy(update={"weight": weight}))
        else:
            made.append(loss)
    return tuple(made)
