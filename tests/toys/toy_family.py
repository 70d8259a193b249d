"""A family of models: one file, one line of `families.models.FAMILIES`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edgedistill.families.common import ModelCommon


class Flat(ModelCommon):
    """The mean over each channel, and a linear layer on top."""

    family: Literal["flat"]
    made_in = __name__
    gain: float = Field(default=1.0, gt=0.0, le=10.0)


def make(model: Flat, classes: int, inputs: Any) -> Any:
    from torch import nn

    (image,) = inputs
    channels = image.shape[1] if hasattr(image, "shape") else 3
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def normalization(model: Flat) -> None:
    return None
