"""What every teacher and every model that can be built here has in a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, model_validator

from edgedistill.fields import Deviations, FilePath, ImageSize, Means
from edgedistill.target import Frozen

Width = Annotated[int, Field(ge=1, le=4096)]


class TeacherCommon(Frozen):
    """Whatever answers."""

    if TYPE_CHECKING:  # each has its own
        family: str

    image_size: ImageSize | None = None
    """What the teacher sees, where it is not `data.image_size`: the same part of the same photo,
    in another size. Of the recipe's `teacher` alone."""

    free_outputs: ClassVar[bool] = False
    """Whether its answers may be any numbers, not only shares of classes."""
    places_texts: ClassVar[bool] = False
    """Whether it gives texts a place in the space of its images."""
    takes_arrays: ClassVar[bool] = False
    """Whether its samples may be other arrays than pictures."""
    takes_sound: ClassVar[bool] = False
    """Whether its samples may be windows of sound."""
    in_ensemble: ClassVar[bool] = True
    """Whether it may be one of several teachers."""
    opened_by: ClassVar[str]
    """The module with `open_(config, context) -> Teacher`."""
    made_with: ClassVar[tuple[str, ...]] = ()
    """Distributions, where it is not all our own code."""


class ModelCommon(TeacherCommon):
    """What every family of models has."""

    weights: FilePath | None = None
    """A safetensors file. Pickles are refused: loading one can run any code."""
    mean: Means | None = None
    """Per-channel mean that the weights expect to be taken off pixels in 0..1."""
    std: Deviations | None = None
    """Per-channel deviation that the weights expect pixels to be divided by."""

    free_outputs = True
    opened_by = "edgedistill.distill.teachers.torch_model"
    made_in: ClassVar[str]
    """The module with `make(model, classes, inputs) -> nn.Module` and `normalization(model)`."""

    @model_validator(mode="after")
    def _normalization_is_whole(self) -> ModelCommon:
        if (self.mean is None) != (self.std is None):
            raise ValueError("`mean` and `std` come together")
        return self
