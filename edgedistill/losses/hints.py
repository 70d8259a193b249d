"""A teacher's features, through a projection."""

from __future__ import annotations

from typing import Literal

from edgedistill.losses.base import BoundLoss, ModelPair
from edgedistill.losses.layers import FeatureLoss, seeing


class Hints(FeatureLoss):
    """Features through a learned 1x1 projection, thrown away afterwards (Romero et al. 2015,
    FitNets)."""

    kind: Literal["hints"]

    def bind(self, models: ModelPair) -> BoundLoss:
        """With a projection to the teacher's channels for each pair of layers; see `Hint`."""
        from edgedistill.losses.features import Hint, HintPairs

        pairs, own, other = self.pairs(models)
        return seeing(HintPairs(pairs, [Hint(own[a], other[b]) for a, b in pairs]), pairs)
