"""A loss: one file, one line of `losses.LOSSES`."""

from __future__ import annotations

from typing import Literal

from edgedistill.losses.base import BoundLoss, LossCommon, ModelPair


class Nearest(LossCommon):
    """The absolute difference to the teacher's logits."""

    kind: Literal["nearest"]

    @property
    def reads_answers(self) -> bool:
        return True

    def bind(self, models: ModelPair) -> BoundLoss:
        return BoundLoss(lambda b: b.trusted((b.logits - b.by_teacher()).abs().mean(dim=1)))
