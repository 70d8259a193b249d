"""Pictures to what a model takes: resized as Pillow does it, to the bit, in NumPy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_BITS = 22
"""Of a weight's fraction, in Pillow's resampling of bytes."""


def prepared(picture: Any, told: dict[str, Any]) -> Pixels:
    """uint8 (height, width, channels) of the model's size, of what an app has: uint8 (height,
    width) or (height, width, 1, 3 or 4 channels), a file's name or a Pillow image (both of which
    take Pillow).

    told: `preprocessing` of `app.json`. Raises ValueError: it is no picture.
    """
    height, width = told["image_size"]
    pixels = picture if isinstance(picture, np.ndarray) else _opened(picture, max(height, width))
    pixels = _with_channels(pixels, told["channels"])
    if pixels.shape[:2] == (height, width):
        return pixels
    how = told["resize"]["how"]
    if how == "fit":
        return _inside(pixels, height, width)
    tall, wide = pixels.shape[:2]
    box = _middle(tall, wide, width / height) if how == "crop" else (0.0, 0.0, wide, tall)
    return resized(pixels, height, width, box)


def _middle(tall: int, wide: int, shape: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the largest part in the middle whose width is `shape` times
    its height."""
    width, height = min(float(wide), tall * shape), min(float(tall), wide / shape)
    left, top = (wide - width) / 2, (tall - height) / 2
    return left, top, left + width, top + height


def _inside(pixels: Pixels, height: int, width: int) -> Pixels:
    """All of it in the middle of black; odd pixels are right and below."""
    tall, wide, channels = pixels.shape
    scale = min(width / wide, height / tall)
    across = min(width, max(1, int(wide * scale + 0.5)))
    down = min(height, max(1, int(tall * scale + 0.5)))
    whole = np.zeros((height, width, channels), np.uint8)
    top, left = (height - down) // 2, (width - across) // 2
    scaled = resized(pixels, down, across, (0.0, 0.0, wide, tall))
    whole[top : top + down, left : left + across] = scaled
    return whole


def resized(
    pixels: Pixels, height: int, width: int, box: tuple[float, float, float, float]
) -> Pixels:
    """Bilinear, averaging where it shrinks: the part `box` (left, top, right, bottom) of pixels
    (height, width, channels), across and down, each rounded to bytes. What loses far more rows than
    columns goes down first, as in Pillow since its version 13."""
    left, top, right, bottom = (np.float32(each) for each in box)
    tall, wide = pixels.shape[:2]
    ways = []
    if width != wide or left or right != width:
        ways.append((left, right, width, 1))
    if height != tall or top or bottom != height:
        ways.append((top, bottom, height, 0))
    if tall - height > max(0, 2 * (wide - width)):
        ways.reverse()
    for begin, end, size, axis in ways:
        pixels = _along(pixels, begin, end, size, axis)
    return pixels


def _along(pixels: Pixels, begin: np.float32, end: np.float32, size: int, axis: int) -> Pixels:
    """One axis of it. Each new pixel is the mean of those below a triangle about its place."""
    scale = float(end - begin) / size
    spread = max(scale, 1.0)
    moved = np.moveaxis(pixels, axis, 0).astype(np.int64)
    found = np.empty((size, *moved.shape[1:]), np.uint8)
    for place in range(size):
        centre = float(begin) + (place + 0.5) * scale
        first = max(0, math.trunc(centre - spread + 0.5))
        last = min(len(moved), math.trunc(centre + spread + 0.5))
        apart = (np.arange(first, last) - centre + 0.5) * (1.0 / spread)
        weights = np.maximum(1.0 - np.abs(apart), 0.0)
        # One after the other, as Pillow adds them.
        total = 0.0
        for each in weights.tolist():
            total += each
        whole = (0.5 + weights / total * (1 << _BITS)).astype(np.int64)
        mixed = np.tensordot(whole, moved[first:last], 1) + (1 << (_BITS - 1))
        found[place] = np.clip(mixed >> _BITS, 0, 255)
    return np.ascontiguousarray(np.moveaxis(found, 0, axis))


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    if pixels.dtype != np.uint8:
        raise ValueError(f"pixels are {pixels.dtype}; uint8 in 0..255 is meant")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or not pixels.size or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"an array of shape {pixels.shape} is no picture; (height, width) or (height, width, "
            "1, 3 or 4 channels) is meant"
        )
    if pixels.shape[2] == 4:
        pixels = _over_white(pixels)
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    weights = np.array([19595, 38470, 7471], np.int64)  # ITU-R 601-2, as Pillow has it
    grey = (pixels.astype(np.int64) @ weights + 0x8000) >> 16
    return grey.astype(np.uint8)[:, :, None]


def _over_white(pixels: Pixels) -> Pixels:
    """As Pillow lays one picture over another: with 7 bits of a weight's fraction."""
    alpha = pixels[:, :, 3:].astype(np.int64)
    mixed = pixels[:, :, :3] * (alpha * 128) + 255 * (255 * 128 - alpha * 128) + (0x80 << 7)
    return (((mixed >> 8) + mixed) >> 8 >> 7).astype(np.uint8)


def _opened(picture: Any, size: int) -> Pixels:
    """A file, or a Pillow image. Raises ImportError: Pillow is not there."""
    from PIL import Image, ImageOps

    if not isinstance(picture, Image.Image):
        with Image.open(Path(picture)) as image:
            image.draft(None, (2 * size, 2 * size))
            image.load()
            picture = ImageOps.exif_transpose(image)
    if picture.mode.startswith("I;16"):
        return (np.asarray(picture) >> 8).astype(np.uint8)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("L", "RGB"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    return np.asarray(picture)
