"""Where a recipe's images come from."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field, model_validator

from edgedistill.fields import (
    ClassNames,
    FilePath,
    Function,
    ImageSize,
    Line,
    Name,
    Resize,
    Share,
)
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


class DataCommon(Frozen):
    """What every source has."""

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

    @property
    def picture_size(self) -> tuple[int, int]:
        """`image_size` of samples that are pictures."""
        assert self.image_size is not None, "samples that are no pictures"
        return self.image_size

    @property
    def arrays(self) -> dict[str, tuple[int, ...]] | None:
        """The shapes of a sample's arrays, by name; None where samples are pictures."""
        return None

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


class DigitsData(DataCommon):
    """scikit-learn's handwritten digits: 1,797 images of 8x8 pixels, shipped in that package."""

    source: Literal["digits"]
    image_size: ImageSize = (16, 16)
    """What the model sees, in pixels: one number for height and width, or `[height, width]`."""
    channels: Literal[1, 3] = 1
    """1: grey; 3: red, green, blue."""


class FolderData(DataCommon):
    """One folder for each class, images in it. Without `test`, a share of `train` is set aside."""

    source: Literal["folder"]
    train: FilePath
    """A folder with one folder for each class."""
    test: FilePath | None = None
    """The same."""
    test_share: float = Field(default=0.2, gt=0.0, lt=0.9)
    """Share of `train` that becomes the test set where `test` is not given."""


class ParquetData(DataCommon):
    """Parquet in Hugging Face's layout: an image column (bytes, path) and a label: an integer, a
    number, or a list of numbers."""

    source: Literal["parquet"]
    train: FilePath
    """A file, or a folder of them."""
    test: FilePath
    """The same."""
    image: Name = "img"
    """The images' column."""
    label: Name = "label"
    """The labels' column."""
    classes: ClassNames | None = None
    """Names in label order: of classes, or of a label's values; by default those in the file's own
    metadata, else numbers."""


class TorchvisionData(DataCommon):
    """A torchvision dataset by name, for example `CIFAR10`; it must already lie in `root`
    unless `download` is set."""

    source: Literal["torchvision"]
    name: Name
    """As in `torchvision.datasets`."""
    root: FilePath
    """The folder that it lies in."""
    download: bool = False
    """Fetch it into `root` where it is not there."""


class HuggingFaceData(DataCommon):
    """A Hugging Face dataset: a hub name, or a local folder in the same format."""

    source: Literal["huggingface"]
    name: Name
    """On the hub, or a folder."""
    config: Name | None = None
    """Where it has several configurations."""
    train: Name = "train"
    """Split to train on."""
    test: Name = "test"
    """Split to test on."""
    image: Name = "image"
    """The images' column."""
    label: Name = "label"
    """The labels' column."""


_OF_PICTURES = (
    "image_size", "resize", "channels", "convert_channels", "skip_unreadable", "unlabelled",
    "caption", "augment",
)  # fmt: skip


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
        for name in _OF_PICTURES:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"`{name}` is of pictures, and `inputs` says that samples are none; leave out "
                    "one of them"
                )
        return self


class ArraysData(PicturesOrArrays):
    """`.npz` files with `images`, uint8 (samples, height, width[, channels]), or with one array for
    each of `inputs`, numbers (samples, ...); and `labels` (samples,), whole numbers; or numbers,
    (samples[, values])."""

    source: Literal["arrays"]
    train: FilePath
    """A file."""
    test: FilePath
    """A file."""
    classes: ClassNames | None = None
    """Names in label order: of classes, or of a label's values; by default numbers."""


class FunctionData(PicturesOrArrays):
    """A user's own `module:function`. Called with "train" or "test", it yields (image, label):
    image uint8 (height, width[, channels]) or a Pillow image, or with `inputs` their arrays: by
    name, or in order; label an int, or numbers, as many for each image."""

    source: Literal["function"]
    function: Function
    """`module:function`; the module lies beside the recipe, or is installed."""
    classes: ClassNames
    """Names in label order: of classes, or of a label's values."""


Data = Annotated[
    Union[
        DigitsData, FolderData, ParquetData, TorchvisionData, HuggingFaceData, ArraysData,
        FunctionData,
    ],
    Field(discriminator="source"),
]  # fmt: skip
