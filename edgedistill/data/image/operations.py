"""RandAugment (Cubuk et al. 2020): a few of fourteen operations on each image, of one strength.

Images are uint8 (batch, height, width, channels), of any number of channels; what an image becomes
does not depend on the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


class Operation(IntEnum):
    """The values are part of every stored view: never renumber."""

    IDENTITY = 0
    ROTATE = 1
    SHEAR_Y = 2
    SHEAR_X = 3
    TRANSLATE_Y = 4
    TRANSLATE_X = 5
    AUTOCONTRAST = 6
    EQUALIZE = 7
    POSTERIZE = 8
    SOLARIZE = 9
    BRIGHTNESS = 10
    CONTRAST = 11
    SATURATION = 12
    SHARPNESS = 13


MOVES = (
    Operation.ROTATE, Operation.SHEAR_Y, Operation.SHEAR_X,
    Operation.TRANSLATE_Y, Operation.TRANSLATE_X,
)  # fmt: skip
TABLES = (
    Operation.AUTOCONTRAST, Operation.EQUALIZE, Operation.POSTERIZE,
    Operation.SOLARIZE, Operation.BRIGHTNESS, Operation.CONTRAST,
)  # fmt: skip
MOST_DEGREES, MOST_SHEAR, MOST_TRANSLATION, MOST_GAIN, MOST_BITS = 30.0, 0.3, 0.45, 0.9, 4
"""At strength 1: of a rotation; a side's share by which the opposite one is moved; a share of the
image's side; by how much a factor differs from 1; bits that are dropped."""
LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""


def operate(images: Images, drawn: Floats, signs: Floats, strength: float) -> Images:
    """drawn: (batch,), in [0, 1), which operation; signs: (batch,), in [0, 1), which way, of those
    that go two ways; strength: 0..1. Returns the same shape."""
    chosen = (drawn * len(Operation)).astype(np.int64)
    amounts = np.where(signs < 0.5, -strength, strength)
    out = images.copy()
    changes: tuple[tuple[tuple[Operation, ...], Callable[..., Images]], ...] = (
        (MOVES, _moved),
        (TABLES, _looked_up),
        ((Operation.SATURATION,), _saturated),
        ((Operation.SHARPNESS,), _sharpened),
    )
    for operations, change in changes:
        here = np.flatnonzero(np.isin(chosen, operations))
        if len(here):
            out[here] = change(images[here], chosen[here], amounts[here])
    return out


def _moved(images: Images, chosen: Ids, amounts: Floats) -> Images:
    """Each pixel from the nearest place that it comes from; black from outside."""
    count, height, width, channels = images.shape

    def of(operation: Operation, most: float) -> Floats:
        return np.where(chosen == operation, amounts * most, 0.0)[:, None, None]

    angle = np.deg2rad(of(Operation.ROTATE, MOST_DEGREES))
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width)[None, :] - (width - 1) / 2
    from_y = np.cos(angle) * y - np.sin(angle) * x
    from_x = np.sin(angle) * y + np.cos(angle) * x
    from_y += of(Operation.SHEAR_Y, MOST_SHEAR * height / width) * x
    from_x += of(Operation.SHEAR_X, MOST_SHEAR * width / height) * y
    from_y += of(Operation.TRANSLATE_Y, MOST_TRANSLATION * height) + (height - 1) / 2
    from_x += of(Operation.TRANSLATE_X, MOST_TRANSLATION * width) + (width - 1) / 2
    # Halves all go one way: to the even one, every second pixel would be there twice.
    rows, columns = (np.floor(each + 0.5).astype(np.int64) for each in (from_y, from_x))
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    first = np.arange(count)[:, None, None] * (height * width)
    places = np.where(inside, first + rows * width + columns, count * height * width)
    black = np.zeros((1, channels), np.uint8)
    moved: Images = np.concatenate([images.reshape(-1, channels), black])[places]
    return moved


def _looked_up(images: Images, chosen: Ids, amounts: Floats) -> Images:
    """What a value becomes depends on it, its image and its channel alone."""
    count, _, _, channels = images.shape
    table = np.empty((count, channels, 256), np.uint8)
    values = np.arange(256.0)
    for operation in TABLES:
        here = np.flatnonzero(chosen == operation)
        if not len(here):
            continue
        gain = 1.0 + MOST_GAIN * amounts[here, None, None]
        size = np.abs(amounts[here, None, None])
        new: Floats
        if operation is Operation.AUTOCONTRAST:
            low = images[here].min(axis=(1, 2))[:, :, None].astype(np.float64)
            range_ = images[here].max(axis=(1, 2))[:, :, None] - low
            new = np.where(range_ > 0, (values - low) * 255.0 / np.maximum(range_, 1.0), values)
        elif operation is Operation.EQUALIZE:
            new = _equalizing(images[here])
        elif operation is Operation.POSTERIZE:
            step = 2.0 ** np.rint(size * MOST_BITS)
            new = np.floor(values / step) * step
        elif operation is Operation.SOLARIZE:
            new = np.where(values >= 256.0 * (1.0 - size), 255.0 - values, values)
        elif operation is Operation.BRIGHTNESS:
            new = values * gain
        else:
            total = images[here].sum(axis=(1, 2, 3), dtype=np.int64)[:, None, None]
            mean = total / images[0].size
            new = mean + (values - mean) * gain
        table[here] = _whole(new)
    offsets = np.arange(count * channels, dtype=np.int32).reshape(count, 1, 1, channels) * 256
    changed: Images = table.reshape(-1)[images + offsets]
    return changed


def _equalizing(images: Images) -> Floats:
    """Tables (batch, channels, 256) that spread each channel's values evenly over 0..255."""
    count, height, width, channels = images.shape
    bins = np.arange(count * channels).reshape(count, 1, 1, channels) * 256 + images
    counts = np.bincount(bins.ravel(), minlength=count * channels * 256)
    counts = counts.reshape(count, channels, 256)
    below = np.cumsum(counts, axis=2)
    # The lowest value that there is becomes 0, the highest 255.
    least = np.take_along_axis(counts, (counts > 0).argmax(axis=2)[:, :, None], axis=2)
    spread = height * width - least
    table: Floats = np.where(
        spread > 0, (below - least) * 255.0 / np.maximum(spread, 1), np.arange(256.0)
    )
    return table


def _saturated(images: Images, _: Ids, amounts: Floats) -> Images:
    """Away from grey, or towards it; one channel alone has no colour."""
    channels = images.shape[3]
    weights = LUMA if channels == 3 else (1.0 / channels,) * channels
    # One after the other: a product of matrices may round differently in another batch.
    grey = np.zeros((*images.shape[:3], 1))
    for channel, weight in enumerate(weights):
        grey += weight * images[..., channel : channel + 1]
    return _blended(grey, images, amounts)


def _sharpened(images: Images, _: Ids, amounts: Floats) -> Images:
    """Away from the image smoothed over 3x3 pixels, or towards it; the border stays."""
    height, width = images.shape[1:3]
    smooth = images.astype(np.float64)
    if min(height, width) > 2:
        total = 4 * images[:, 1:-1, 1:-1].astype(np.int64)
        for y in range(3):
            for x in range(3):
                total += images[:, y : y + height - 2, x : x + width - 2]
        smooth[:, 1:-1, 1:-1] = total / 13.0
    return _blended(smooth, images, amounts)


def _blended(base: Floats, images: Images, amounts: Floats) -> Images:
    gain = 1.0 + MOST_GAIN * amounts[:, None, None, None]
    return _whole(base + (images - base) * gain)


def _whole(values: Floats) -> Images:
    whole: Images = np.rint(values.clip(0.0, 255.0)).astype(np.uint8)
    return whole
