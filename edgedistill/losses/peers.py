"""Models that train along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgedistill.fields import Temperature
from edgedistill.losses.base import Batch, BoundLoss, LossCommon, ModelPair

if TYPE_CHECKING:
    from torch import Tensor


class Peers(LossCommon):
    """KL divergence to each peer that trains along, at a temperature (Zhang et al. 2018, "Deep
    Mutual Learning"). Needs `stages.distill.peers`."""

    kind: Literal["peers"]
    temperature: Temperature = 1.0
    """As of `soft_targets`."""

    @property
    def option(self) -> str:
        """Of classifications alone."""
        return "peers"

    def bind(self, models: ModelPair) -> BoundLoss:
        """Of logits (batch, classes), the mean over the peers, whose answers are constants."""
        import torch

        from edgedistill.tasks.classification import soft_targets

        def term(batch: Batch) -> Tensor:
            each = [soft_targets(batch.logits, p, self.temperature) for p in batch.peers]
            return batch.kept(torch.stack(each).mean(0))

        return BoundLoss(term)
