"""Where a teacher's layers look."""

from __future__ import annotations

from typing import Literal

from edgedistill.losses.base import BoundLoss, ModelPair
from edgedistill.losses.layers import FeatureLoss, mean_of_pairs, seeing


class Attention(FeatureLoss):
    """Where each layer looks: its squared activations over the channels (Zagoruyko and Komodakis
    2017)."""

    kind: Literal["attention"]

    def bind(self, models: ModelPair) -> BoundLoss:
        """The mean over the pairs of layers, maps (batch, channels, height, width)."""
        from edgedistill.losses.features import attention

        pairs, _, _ = self.pairs(models)
        return seeing(lambda batch: mean_of_pairs(batch, pairs, [attention] * len(pairs)), pairs)
