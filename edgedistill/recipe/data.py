"""Where a recipe's samples come from."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from edgedistill.fields import ClassNames, FilePath, Function, ImageSize, Name
from edgedistill.recipe.samples import DataCommon, PicturesOrArrays, PicturesOrSound


class DigitsData(DataCommon):
    """scikit-learn's handwritten digits: 1,797 images of 8x8 pixels, shipped in that package."""

    source: Literal["digits"]
    image_size: ImageSize = (16, 16)
    """What the model sees, in pixels: one number for height and width, or `[height, width]`."""
    channels: Literal[1, 3] = 1
    """1: grey; 3: red, green, blue."""


class FolderData(PicturesOrSound):
    """One folder for each class, images or recordings in it. Without `test`, a share of `train` is
    set aside."""

    source: Literal["folder"]
    train: FilePath
    """A folder with one folder for each class."""
    test: FilePath | None = None
    """The same."""


class ParquetData(PicturesOrSound):
    """Parquet in Hugging Face's layout: a column of images or sound (bytes, path) and a label: an
    integer, a number, a list of numbers, or of sound its name. Without `test`, a share of `train`
    is set aside."""

    source: Literal["parquet"]
    train: FilePath
    """A file, or a folder of them."""
    test: FilePath | None = None
    """The same."""
    image: Name = "img"
    """The images' column."""
    audio: Name = "audio"
    """The column of sound: whole files as bytes, or a struct with a field `bytes`."""
    speaker: Name | None = None
    """The column that says who speaks: all of a speaker's clips go to one split."""
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


class HuggingFaceData(PicturesOrSound):
    """A Hugging Face dataset: a hub name, or a local folder in the same format."""

    source: Literal["huggingface"]
    name: Name
    """On the hub, or a folder."""
    config: Name | None = None
    """Where it has several configurations."""
    train: Name = "train"
    """Split to train on."""
    test: Name | None = "test"
    """Split to test on; `null`: a share of `train` is set aside."""
    image: Name = "image"
    """The images' column."""
    audio: Name = "audio"
    """The column of sound."""
    speaker: Name | None = None
    """The column that says who speaks: all of a speaker's clips go to one split."""
    label: Name = "label"
    """The labels' column."""


class ManifestData(PicturesOrSound):
    """JSON Lines: for each image or recording a line with the path of its file, from the
    manifest's folder, and its class's name. Without `test`, a share of `train` is set aside."""

    source: Literal["manifest"]
    train: FilePath
    """A file."""
    test: FilePath | None = None
    """The same."""
    path: Name = "path"
    """The key of the file."""
    label: Name = "label"
    """The key of the class's name, such as `text`."""
    speaker: Name | None = None
    """The key that says who speaks: all of a speaker's clips go to one split."""
    classes: ClassNames | None = None
    """The labels' names in order; by default sorted."""


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
        DigitsData, FolderData, ParquetData, TorchvisionData, HuggingFaceData, ManifestData,
        ArraysData, FunctionData,
    ],
    Field(discriminator="source"),
]  # fmt: skip
