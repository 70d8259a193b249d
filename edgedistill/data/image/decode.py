"""One image, whatever it comes as, to uint8 pixels of the wanted size. Runs in worker processes."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image import kinds
from edgedistill.errors import UserError
from edgedistill.fields import Resize
from edgedistill.files import check_regular
from edgedistill.signature import TensorSpec

if TYPE_CHECKING:
    from PIL import Image

    Payload = bytes | str | os.PathLike[str] | NDArray[Any] | Image.Image | None
    """An encoded image, a file's name, or pixels; None where the source has no image."""

Images = NDArray[np.uint8]

MOST_PIXELS = 89_478_485
"""Of an image as it is decoded; more is taken for an attack on the memory. Pillow warns from here
on, and refuses twice as many before a large JPEG could be decoded at a fraction of its size."""

PADDING: Final = 0
"""The value, of 255, of the pixels around a picture that is fit into another shape: black."""

MODES = {1: "L", 3: "RGB"}
MEANT = {1: "1 channel (grey)", 3: "3 channels (RGB)"}
KINDS = {
    "1": "black-and-white",
    "L": "grey",
    "LA": "grey-with-alpha",
    "P": "palette",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "CMYK": "CMYK",
}


@dataclass(frozen=True)
class Form:
    """What every image becomes."""

    size: tuple[int, int]
    """(height, width)"""
    channels: int
    resize: Resize = "crop"
    convert: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)"""
        return *self.size, self.channels

    def check_taken(self, spec: TensorSpec, file: str) -> None:
        """Raises UserError: the input of a model file is of another shape."""
        height, width, channels = self.shape
        nhwc = spec.layout == "NHWC"
        said = (height, width, channels) if nhwc else (channels, height, width)
        taken = list(spec.shape[1:])
        if taken != list(said):
            raise UserError(
                f"{file}: takes pictures of shape {taken}, and the manifest says {list(said)}",
                "compile the bundle again, or take its manifest from where it was copied from",
            )


class BadImage(Exception):
    """An image that cannot be used; the caller knows its name. `skippable`: it is damaged, so
    the recipe may allow to leave it out; else it is intact but not what was meant."""

    def __init__(self, reason: str, hint: str, skippable: bool) -> None:
        super().__init__(reason, hint, skippable)
        self.reason, self.hint, self.skippable = reason, hint, skippable


def _unreadable(reason: str) -> BadImage:
    hint = "mend or remove it, or allow some with `data.skip_unreadable`, a share such as 0.01"
    return BadImage(f"cannot be decoded: {reason}", hint, skippable=True)


def decode(payload: Payload, form: Form) -> Images:
    """(height, width, channels), uint8, resized as the form says: bilinear, averaging where it
    shrinks. Transparency is laid over white.

    Raises BadImage.
    """
    if isinstance(payload, np.ndarray):
        if payload.dtype == np.uint8 and payload.shape == form.shape:
            return payload
        return _fit(_from_array(payload), form)
    if payload is None:
        raise _unreadable("there are no bytes")
    with _decoding():
        return _fit(_open(payload, max(form.size)), form)


@contextmanager
def _decoding() -> Iterator[None]:
    """Raises BadImage: Pillow's readers raise whatever a broken file leads them to."""
    try:
        yield
    except (BadImage, MemoryError):
        raise
    except Exception as error:
        text = error.message if isinstance(error, UserError) else str(error)
        if "cannot identify" in text:
            text = "not a picture in a format that edgedistill reads"
        raise _unreadable(text or type(error).__name__) from None


def _open(payload: Any, size: int) -> Image.Image:
    from PIL import Image, ImageOps

    if isinstance(payload, Image.Image):
        payload.load()
        return payload
    with open_image(payload) as image:
        # A large JPEG is decoded at a fraction of its size, yet twice as large as needed.
        image.draft(None, (2 * size, 2 * size))
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise _unreadable(f"{width}x{height} pixels are more than an image may have")
        image.load()
        return ImageOps.exif_transpose(image) if "exif" in image.info else image


def open_image(payload: bytes | str | os.PathLike[str]) -> Image.Image:
    """An encoded image or a file, its size and mode read, its pixels not yet.

    Raises an error of Pillow's, or UserError: no regular file, or a kind of image that takes a
    package which is not installed.
    """
    from PIL import Image, UnidentifiedImageError

    stream = io.BytesIO(payload) if isinstance(payload, bytes) else payload
    if not isinstance(stream, io.BytesIO):
        check_regular(Path(stream), "image file")
    with warnings.catch_warnings():
        # `MOST_PIXELS` says what is too large.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(stream, formats=kinds.formats())
        except UnidentifiedImageError:
            head = payload if isinstance(payload, bytes) else kinds.head_of(Path(payload))
            lacking = kinds.lacking(head[: kinds.HEAD])
            if lacking is None:
                raise
            raise UserError(f"is {lacking}") from None


@contextmanager
def only_meant_formats() -> Iterator[None]:
    """Where a library opens images by itself: let Pillow know no formats but those that are
    read here."""
    from PIL import Image

    Image.init()
    meant = kinds.formats()
    before = list(Image.ID)
    Image.ID[:] = [name for name in before if name in meant]
    try:
        yield
    finally:
        Image.ID[:] = before


def _from_array(array: NDArray[Any]) -> Image.Image:
    from PIL import Image

    if array.dtype != np.uint8:
        hint = "give pixels as uint8 in 0..255"
        raise BadImage(f"pixels are {array.dtype}, not uint8", hint, skippable=False)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if (
        array.ndim not in (2, 3)
        or not array.size
        or (array.ndim == 3 and array.shape[2] not in (3, 4))
    ):
        hint = "give (height, width) or (height, width, channels) with 1, 3 or 4 channels"
        raise BadImage(f"an array of shape {array.shape} is no image", hint, skippable=False)
    return Image.fromarray(np.ascontiguousarray(array))


def _fit(image: Image.Image, form: Form) -> Images:
    from PIL import Image

    image = _with_channels(image, form)
    height, width = form.size
    if image.size != (width, height):
        if form.resize == "fit":
            image = _inside(image, width, height)
        else:
            box = _middle(image, width / height) if form.resize == "crop" else None
            image = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image).reshape(form.shape)


def _middle(image: Image.Image, shape: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the largest part in the middle whose width is `shape` times
    its height; not in whole pixels."""
    width = min(float(image.width), image.height * shape)
    height = min(float(image.height), image.width / shape)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, left + width, top + height


def _inside(image: Image.Image, width: int, height: int) -> Image.Image:
    """All of it, as large as fits, in the middle of `PADDING`; odd pixels are right and below."""
    from PIL import Image

    scale = min(width / image.width, height / image.height)
    across = min(width, max(1, int(image.width * scale + 0.5)))
    down = min(height, max(1, int(image.height * scale + 0.5)))
    whole = Image.new(image.mode, (width, height), PADDING)
    scaled = image.resize((across, down), Image.Resampling.BILINEAR)
    whole.paste(scaled, ((width - across) // 2, (height - down) // 2))
    return whole


def _with_channels(image: Image.Image, form: Form) -> Image.Image:
    mode = MODES[form.channels]
    if image.mode == mode:
        return image
    if not form.convert:
        kind = KINDS.get(image.mode, image.mode)
        article = "an" if kind[0] in "AEIOR" else "a"
        other = 4 - form.channels
        hint = "set `data.convert_channels: true` to convert such images"
        if image.mode == MODES[other]:
            hint += f", or `data.channels: {other}`"
        reason = f"is {article} {kind} image where {MEANT[form.channels]} are meant"
        raise BadImage(reason.replace("(grey) are", "(grey) is"), hint, skippable=False)
    if image.mode.startswith("I;16"):
        return _from_array((np.asarray(image) >> 8).astype(np.uint8)).convert(mode)
    if image.mode in ("I", "F"):
        raise _unreadable("its pixels have 32 bits; 8 or 16 are read")
    if image.has_transparency_data:
        return _over_white(image).convert(mode)
    return image.convert(mode)


def _over_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


@dataclass(frozen=True)
class Failure:
    """Image number `at` of a chunk could not be used."""

    at: int
    reason: str
    hint: str
    skippable: bool


@dataclass(frozen=True)
class Decoded:
    """The usable images of a chunk, in order, and why the others are not there."""

    images: tuple[Images, ...]
    """In each of the forms."""
    failures: tuple[Failure, ...]


def decode_chunk(payloads: list[Payload], forms: Sequence[Form]) -> Decoded:
    """Each from its beginning for each form: what an app computes that knows but one of them."""
    images: list[list[Images]] = []
    failures = []
    for at, payload in enumerate(payloads):
        try:
            images.append([decode(payload, form) for form in forms])
        except BadImage as bad:
            failures.append(Failure(at, bad.reason, bad.hint, bad.skippable))
    whole = (
        np.stack([each[place] for each in images]) if images else np.empty((0, *form.shape), "u1")
        for place, form in enumerate(forms)
    )
    return Decoded(tuple(whole), tuple(failures))
