"""What a student is trained on: a weighted list of losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from edgedistill.losses import LOSSES, LossCommon
from edgedistill.losses.labels import Labels
from edgedistill.losses.soft_targets import SoftTargets

if TYPE_CHECKING:
    Loss = LossCommon
else:
    Loss = Annotated[Union[tuple(LOSSES)], Field(discriminator="kind")]

Losses = Annotated[tuple[Loss, ...], Field(max_length=100)]
DISTILLATION: tuple[Loss, ...] = (
    SoftTargets(kind="soft_targets", weight=0.9),
    Labels(kind="labels", weight=0.1),
)
