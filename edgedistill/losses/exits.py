"""Classifiers on the student's shallower layers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgedistill.errors import UserError
from edgedistill.fields import LayerNames, Share, Temperature, Weight
from edgedistill.losses.base import BoundLoss, LossCommon, ModelPair


class Exits(LossCommon):
    """Self-distillation: classifiers on the student's shallower layers learn from the labels, from
    its own last answer and, through a projection, from its last features; thrown away afterwards
    (Zhang et al. 2019, "Be Your Own Teacher")."""

    kind: Literal["exits"]
    layers: Literal["auto"] | Annotated[LayerNames, Field(min_length=1)] = "auto"
    """`auto`: the last layer at each resolution but the final one."""
    temperature: Temperature = 3.0
    """As of `soft_targets`."""
    imitation: Share = 0.3
    """Share of the last answer, against the labels, in what an exit learns."""
    features: Weight = 0.03
    """Weight of the distance to the last features."""

    stages = frozenset({"teacher", "distill"})

    @property
    def option(self) -> str:
        """Of classifications alone."""
        return "exits"

    def bind(self, models: ModelPair) -> BoundLoss:
        """With a classifier on each of `layers`; of `auto`, on the last layer at each resolution
        but the last. Raises UserError: there is no such layer, or only one resolution."""
        from edgedistill.losses.exit_heads import ExitHeads
        from edgedistill.losses.features import check, ends

        found = models.student_shapes()
        *shallow, last = ends(found) or [""]
        names = tuple(shallow) if self.layers == "auto" else self.layers
        if not names or not last:
            raise UserError(
                "the student has no two layers of different resolution to put exits on",
                "name them: `layers: [...]` of the loss `exits`",
            )
        for name in names:
            check(name, found, "student")
        return BoundLoss(ExitHeads(self, names, found, last, models.outputs()), (*names, last))
