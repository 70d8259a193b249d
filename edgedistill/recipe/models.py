"""What a recipe says of its teacher and its student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import Field, model_validator

from edgedistill.target import Frozen


class ModelCommon(Frozen):
    weights: Path | None = None
    """A safetensors file. Pickles are refused: loading one can run any code."""
    mean: tuple[float, ...] | None = None
    """Per-channel mean that the weights expect to be taken off pixels in 0..1."""
    std: tuple[float, ...] | None = None
    """Per-channel deviation that the weights expect pixels to be divided by."""

    @model_validator(mode="after")
    def _normalization_is_whole(self) -> ModelCommon:
        if (self.mean is None) != (self.std is None):
            raise ValueError("`mean` and `std` come together")
        if self.std and min(self.std) <= 0:
            raise ValueError("`std` must be positive")
        return self


class ResidualModel(ModelCommon):
    """CIFAR-style residual network of depth 6n+2 (He et al. 2015, section 4.2)."""

    family: Literal["resnet_cifar"]
    depth: int = 20
    widths: tuple[int, int, int] = (16, 32, 64)
    shortcut: Literal["pad", "conv"] = "pad"
    """What a block that changes shape adds: strided input padded with zeros (the paper's option
    A) or a 1x1 convolution (option B)."""

    @model_validator(mode="after")
    def _depth_is_6n_plus_2(self) -> ResidualModel:
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"depth must be 8, 14, 20, ... (6n+2), got {self.depth}")
        return self


class TorchvisionModel(ModelCommon):
    """A torchvision classification model by name."""

    family: Literal["torchvision"]
    name: str
    pretrained: bool = False
    """Start from torchvision's own weights (a download where they are not on disk)."""


class TimmModel(ModelCommon):
    """A timm model by name."""

    family: Literal["timm"]
    name: str
    pretrained: bool = False
    """Start from timm's own weights (a download where they are not on disk)."""


class FunctionModel(ModelCommon):
    """A user's own `module:function`, called with `classes` and `args`; returns a torch module
    that takes (batch, channels, height, width) and gives logits (batch, classes)."""

    family: Literal["function"]
    function: str
    args: dict[str, Any] = Field(default_factory=dict)


Model = Annotated[
    Union[ResidualModel, TorchvisionModel, TimmModel, FunctionModel],
    Field(discriminator="family"),
]
