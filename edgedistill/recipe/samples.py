"""What recipes say of samples, whatever source they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from edgedistill.fields import FilePath, ImageSize, Line, Resize, Share
from edgedistill.recipe.sound import Sound, SoundAugment
from edgedistill.target import Frozen

_ArrayName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,59}$")]
_Side = Annotated[int, Field(ge=1, le=10_000_000)]
Arrays = Annotated[
    dict[_ArrayName, Annotated[tuple[_Side, ...], Field(min_length=1, max_length=6)]],
    Field(min_length=1, max_length=32),
]


class Augment(Frozen):
    """Random changes to training images. Each is drawn from (seed, sample, view) alone, so a view
    can be drawn again at any time, by any process."""

    shift: int = Field(default=0, ge=0, le=1023)
    """Pad by this many pixels on each side and crop back at random."""
    flip: bool = False
    """Mirror half of the images left to right."""
    scale: float = Field(default=1.0, gt=0.0, le=1.0)
    """Crop at random down to this share of the area, then resize back."""
    brightness: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Change it by up to this share."""
    contrast: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The same."""
    erase: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Side of a grey square put at a random place, as a share of the image's shorter side."""
    randaugment: int = Field(default=0, ge=0, le=10)
    """So many operations on each image, each one of fourteen that turn, move and recolour it
    (RandAugment, Cubuk et al. 2020)."""
    magnitude: float = Field(default=0.3, gt=0.0, le=1.0)
    """Of these operations; 1 turns by 30 degrees."""
    mixup: Share = 0.0
    """Share of the images that another one is blended into, in any proportion (Zhang et al. 2018).
    Labels are mixed in that proportion; the teacher is asked about what the student sees."""
    cutmix: Share = 0.0
    """Share of the images in which a box of any size shows a part of another one (Yun et al.
    2019). The same holds."""

    @property
    def mixes(self) -> bool:
        """Whether an image may show another one too."""
        return self.mixup + self.cutmix > 0

    def unmixed(self) -> Augment:
        """The same of images that show no other one."""
        return self.model_copy(update={"mixup": 0.0, "cutmix": 0.0})

    @model_validator(mode="after")
    def _mixes_at_most_all(self) -> Augment:
        if self.mixup + self.cutmix > 1:
            raise ValueError("`mixup` and `cutmix` are shares of the images: at most 1 together")
        return self


Changes = Augment | SoundAugment
"""Of training samples, at random."""


class DataCommon(Frozen):
    """What every source has."""

    may_be_sound: ClassVar[bool] = False
    """Whether the source yields recordings too."""

    image_size: ImageSize
    """What the model sees, in pixels: one number for height and width, or `[height, width]`."""
    resize: Resize = "crop"
    """How a picture of another shape gets there. `crop`: its largest part in the middle that has
    the wanted shape; `fit`: all of it, in the middle of black; `stretch`: all of it, out of
    proportion. Always bilinear, averaging where it shrinks."""
    channels: Literal[1, 3] = 3
    """1: grey; 3: red, green, blue."""
    validation: float = Field(default=0.1, gt=0.0, lt=0.9)
    """Share of the training images held out to make choices on; the test set is for the end."""
    limit: int | None = Field(default=None, ge=10, le=10**9)
    """At most this many training images, validation included: as many of each class as there are,
    chosen by the seed."""
    convert_channels: bool = True
    """Turn grey, RGBA or palette images into the wanted channels. `false` makes them an error."""
    skip_unreadable: Share = 0.0
    """Share of images that may fail to decode and be left out. 0 makes the first one an error."""
    unlabelled: FilePath | None = None
    """A folder of further training images, at any depth, whose classes nobody knows: the student
    learns them from the teacher alone."""
    caption: Line = Field(default="a photo of a {}", pattern=r"\{\}", max_length=1000)
    """Retrieval: the text that goes with an image; `{}` becomes its class's name."""
    augment: Augment = Augment()
    """Of the training images, for student and teacher alike."""
    workers: int | None = Field(default=None, ge=0, le=1024)
    """Processes that decode, threads that augment; none given: as many as the images' size calls
    for."""
    sound: Sound | None = None
    """Where samples are sound: its rate, the window that the models see, and what is made beside
    the clips."""

    @property
    def picture_size(self) -> tuple[int, int]:
        """`image_size` of samples that are pictures."""
        assert self.image_size is not None, "samples that are no pictures"
        return self.image_size

    @property
    def arrays(self) -> dict[str, tuple[int, ...]] | None:
        """The shapes of a sample's arrays, by name; None where samples are pictures."""
        return None if self.sound is None else {"samples": (self.sound.length,)}

    @property
    def changes(self) -> Changes:
        """How training samples are changed at random."""
        return self.augment if self.sound is None else self.sound.augment

    @model_validator(mode="after")
    def _may_be_sound(self) -> DataCommon:
        if self.sound is not None and not self.may_be_sound:
            raise ValueError(
                "`sound` goes with the sources folder, parquet, huggingface and manifest"
            )
        return self

    @model_validator(mode="after")
    def _shift_leaves_something(self) -> DataCommon:
        if self.arrays is not None or self.image_size is None:
            return self
        if self.augment.shift >= min(self.image_size):
            raise ValueError(
                f"`augment.shift: {self.augment.shift}` may shift all of an image of "
                f"{min(self.image_size)} pixels out of sight"
            )
        return self


_OF_PICTURES = (
    "image_size", "resize", "channels", "convert_channels", "caption", "augment",
)  # fmt: skip


class PicturesOrSound(DataCommon):
    """Samples are pictures, or with `sound` recordings."""

    may_be_sound: ClassVar[bool] = True

    image_size: ImageSize | None = None  # type: ignore[assignment]
    """What the model sees, in pixels: one number for height and width, or `[height, width]`.
    Needed unless there is `sound`."""
    test_share: float = Field(default=0.2, gt=0.0, lt=0.9)
    """Share of `train` that becomes the test set where `test` is not given, and of the recordings
    in `sound.negatives` and `sound.noise`."""

    @model_validator(mode="after")
    def _are_pictures_or_sound(self) -> PicturesOrSound:
        if self.sound is None:
            if self.image_size is None:
                raise ValueError(
                    "the key `image_size` is missing; or `sound`, where samples are recordings"
                )
            return self
        _refuse(self, _OF_PICTURES, "sound")
        return self


def _refuse(data: DataCommon, names: Sequence[str], instead: str) -> None:
    """Raises ValueError: a field of pictures is set where `instead` says that samples are none."""
    for name in names:
        if getattr(data, name) != type(data).model_fields[name].default:
            raise ValueError(
                f"`{name}` is of pictures, and `{instead}` says that samples are none; leave out "
                "one of them"
            )


class PicturesOrArrays(DataCommon):
    """Samples may be arrays of any shape, several of them by name: sound, sensors, positions."""

    image_size: ImageSize | None = None  # type: ignore[assignment]
    """What the model sees, in pixels: one number for height and width, or `[height, width]`.
    Needed unless there are `inputs`."""
    inputs: Arrays | None = None
    """Where samples are no pictures: each array's name and its shape, such as
    `{frames: [100, 8], position: [4]}`, in the order in which the model takes them. Stored as
    float32; neither resized nor augmented."""

    @property
    def arrays(self) -> dict[str, tuple[int, ...]] | None:
        """`inputs`; None where samples are pictures."""
        return self.inputs

    @model_validator(mode="after")
    def _are_one_or_the_other(self) -> PicturesOrArrays:
        if self.inputs is None:
            if self.image_size is None:
                raise ValueError(
                    "the key `image_size` is missing; or `inputs`, where samples are no pictures"
                )
            return self
        _refuse(self, (*_OF_PICTURES, "skip_unreadable", "unlabelled"), "inputs")
        return self
