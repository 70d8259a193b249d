"""Models that can be built here: what a recipe says of each, and one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, model_validator

from edgedistill.families.common import ModelCommon, Width
from edgedistill.families.sound import SOUND_FAMILIES
from edgedistill.fields import Arguments, Function, Name

Blocks = Annotated[int, Field(ge=0, le=200)]


def _usual_depth(told: dict[str, Any]) -> int | None:
    return 20 if told.get("blocks") is None else None


class ResidualModel(ModelCommon):
    """CIFAR-style residual network (He et al. 2015, section 4.2): a first convolution and three
    groups of blocks, as many in each (`depth`) or not (`blocks`)."""

    family: Literal["resnet_cifar"]
    made_in = "edgedistill.models.resnet_cifar"
    blocks: tuple[Blocks, Blocks, Blocks] | None = None
    """Of each group, in place of `depth`: [1, 2, 2], say. 0 in the first: the first convolution is
    all that sees the whole resolution, where a multiplication costs a device most."""
    depth: Annotated[int, Field(ge=8, le=1202)] | None = Field(default_factory=_usual_depth)
    """8, 14, 20, ... (6n+2) layers: n blocks in each group; 20, where `blocks` says nothing."""
    widths: tuple[Width, Width, Width] = (16, 32, 64)
    """Channels at each of the three resolutions."""
    shortcut: Literal["pad", "conv", "none"] = "pad"
    """What a block that changes shape adds: strided input padded with zeros (the paper's option
    A), a 1x1 convolution (option B), or nothing, which is the cheapest on a device."""

    @model_validator(mode="after")
    def _groups_are_told_once(self) -> ResidualModel:
        if self.blocks is not None and self.depth is not None:
            raise ValueError("`blocks` stands in place of `depth`: leave one of them out, or null")
        if self.blocks is not None and 0 in self.blocks[1:]:
            raise ValueError(f"only the first of `blocks` may be 0, got {list(self.blocks)}")
        if self.blocks is None and self.depth is None:
            raise ValueError("`depth` or `blocks` says how many blocks there are")
        if self.depth is not None and (self.depth - 2) % 6:
            raise ValueError(f"depth must be 8, 14, 20, ... (6n+2), got {self.depth}")
        return self

    @property
    def groups(self) -> tuple[int, int, int]:
        """Blocks of each group."""
        if self.blocks is not None:
            return self.blocks
        assert self.depth is not None, "checked"
        each = (self.depth - 2) // 6
        return each, each, each


class TorchvisionModel(ModelCommon):
    """A torchvision classification model by name."""

    family: Literal["torchvision"]
    made_in = "edgedistill.models.torchvision"
    name: Name
    """As `torchvision.models.list_models()` has it."""
    pretrained: bool = False
    """Start from torchvision's own weights (a download where they are not on disk)."""

    made_with = ("torchvision",)


class TimmModel(ModelCommon):
    """A timm model by name."""

    family: Literal["timm"]
    made_in = "edgedistill.models.timm"
    name: Name
    """As `timm.list_models()` has it."""
    pretrained: bool = False
    """Start from timm's own weights (a download where they are not on disk)."""

    made_with = ("timm",)


class FunctionModel(ModelCommon):
    """A user's own `module:function`, called with `classes` and `args`; returns a torch module
    that takes (batch, channels, height, width), or the arrays of `data.inputs` in their order, and
    gives logits (batch, classes)."""

    family: Literal["function"]
    made_in = "edgedistill.models.function"
    takes_arrays = True
    takes_sound = True
    function: Function
    """The module lies beside the recipe, or is installed."""
    args: Arguments = Field(default_factory=dict)
    """Further keyword arguments."""


IMAGE_FAMILIES: list[type[ModelCommon]] = [
    ResidualModel, TorchvisionModel, TimmModel, FunctionModel,
]  # fmt: skip
"""In the order in which the schema lists them."""

if TYPE_CHECKING:
    ImageModel = ModelCommon
else:
    ImageModel = Annotated[Union[tuple(IMAGE_FAMILIES)], Field(discriminator="family")]


class DualEncoderModel(ModelCommon):
    """An image and a text encoder that meet in one space, in the manner of CLIP (Radford et al.
    2021): the teacher of `task: retrieval`. The text encoder reads bytes."""

    family: Literal["dual_encoder"]
    made_in = "edgedistill.models.dual_encoder"
    image: ImageModel
    """Gives embeddings where it otherwise gives logits."""
    embedding: int = Field(default=64, ge=2, le=65536)
    """Dimensions of the space."""
    text_width: int = Field(default=64, ge=4, le=8192, multiple_of=4)
    """Channels of the text encoder's layers."""
    text_layers: int = Field(default=2, ge=1, le=100)
    """Of its transformer."""
    text_length: int = Field(default=64, ge=8, le=8192)
    """Bytes of a text; what is beyond is not read."""

    places_texts = True
    in_ensemble = False

    @model_validator(mode="after")
    def _weights_are_of_both(self) -> DualEncoderModel:
        inner = self.image
        if inner.weights or inner.mean or getattr(inner, "pretrained", False):
            raise ValueError(
                "`weights`, `mean` and `std` are of the whole; `image` has none of its own"
            )
        return self


FAMILIES: list[type[ModelCommon]] = [*IMAGE_FAMILIES, *SOUND_FAMILIES, DualEncoderModel]
