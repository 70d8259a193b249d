"""What is known of each sample."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgedistill.losses.base import BoundLoss, LossCommon, ModelPair


class Labels(LossCommon):
    """The labels: cross entropy; binary cross entropy where any number of classes may be right;
    the squared error of a regression."""

    kind: Literal["labels"]
    smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Of a classification's labels."""

    stages = frozenset({"teacher", "distill", "prune", "quantize"})
    learns_from = "labels"

    @property
    def option(self) -> str:
        """Smoothing, of tasks with one right class; else nothing."""
        return "smoothing" if self.smoothing else ""

    def bind(self, models: ModelPair) -> BoundLoss:
        """The task's `label_loss` of outputs (batch, values), as far as labels count."""
        loss = models.task.label_loss
        return BoundLoss(lambda b: b.labelled(loss(b.logits, b.target, self.smoothing)))
