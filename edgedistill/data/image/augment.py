"""Random changes to a batch of images, each drawn from (seed, id, view) alone."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.data.image.operations import operate
from edgedistill.recipe import Augment

Images = NDArray[np.uint8]
Pixels = NDArray[np.float32]
Draw = Callable[[int], NDArray[np.float64]]

GREY = 0.5


class Slot(IntEnum):
    """What a random number is for. The values are part of every stored view: never renumber."""

    FLIP = 0
    SHIFT_Y = 1
    SHIFT_X = 2
    SCALE = 3
    SCALE_Y = 4
    SCALE_X = 5
    BRIGHTNESS = 6
    CONTRAST = 7
    ERASE_Y = 8
    ERASE_X = 9
    MIXED = 10
    MIXED_SHARE = 11
    PARTNER = 12
    BOX_Y = 13
    BOX_X = 14
    OPERATION = 20
    """And on, two numbers for each operation."""


def view(
    images: Images,
    ids: NDArray[np.int64],
    seed: int,
    view: int,
    config: Augment,
    meant: tuple[int, int] | None = None,
) -> Pixels:
    """View number `view` of each image.

    images: (batch, height, width, channels), uint8; ids: (batch,), the images' numbers in their
    split; meant: height and width of the images whose pixels `config.shift` counts, by default
    theirs. Returns (batch, channels, height, width), float32 in 0..1, laid out channels-last.
    An image's view depends on its pixels, its id, `seed` and `view`, not on the rest of the batch;
    of the same images in another size it is the same view. What is mixed into it is
    `mixing`'s.
    """

    def draw(slot: int) -> NDArray[np.float64]:
        return uniform(seed, ids, view, slot)

    moved = images
    for number in range(config.randaugment):
        slot = Slot.OPERATION + 2 * number
        moved = operate(moved, draw(slot), draw(slot + 1), config.magnitude)
    if config.flip:
        moved = _flip(moved, draw)
    if config.shift:
        moved = _shift(moved, config.shift, meant or images.shape[1:3], draw)
    pixels: Pixels
    if config.scale < 1.0:
        pixels = _crop_and_resize(moved, config.scale, draw)
        pixels /= np.float32(255)
    else:
        pixels = np.divide(moved, np.float32(255))
    if config.brightness or config.contrast:
        _recolour(pixels, images, config, draw)
    if config.erase:
        _erase(pixels, config.erase, draw)
    return pixels.transpose(0, 3, 1, 2)


def _flip(images: Images, draw: Draw) -> Images:
    chosen = np.flatnonzero(draw(Slot.FLIP) < 0.5)
    flipped = images.copy()
    flipped[chosen] = images[chosen, :, ::-1]
    return flipped


def _shift(images: Images, shift: int, meant: tuple[int, ...], draw: Draw) -> Images:
    """Pad with black and cut out a window of the old size: one gather of whole windows."""
    count, height, width, channels = images.shape
    by_y, by_x = height / meant[0], width / meant[1]
    above, beside = round(shift * by_y), round(shift * by_x)
    padded = np.zeros((count, height + 2 * above, width + 2 * beside, channels), np.uint8)
    padded[:, above : above + height, beside : beside + width] = images
    windows = np.lib.stride_tricks.sliding_window_view(
        padded.reshape(count, height + 2 * above, -1), (height, width * channels), axis=(1, 2)
    )
    top = above + _offsets(draw(Slot.SHIFT_Y), shift, by_y)
    left = beside + _offsets(draw(Slot.SHIFT_X), shift, by_x)
    cut: Images = windows[np.arange(count), top, left * channels]
    return cut.reshape(images.shape)


def _offsets(drawn: NDArray[np.float64], shift: int, scale: float) -> NDArray[np.int64]:
    """Whole pixels of the size that is meant, in pixels of the images' own."""
    offsets = (drawn * (2 * shift + 1)).astype(np.int64) - shift
    scaled: NDArray[np.int64] = np.rint(offsets * scale).astype(np.int64)
    return scaled


def _crop_and_resize(images: Images, scale: float, draw: Draw) -> Pixels:
    """Bilinear enlargement of a random part, in 0..255. Rows first, then columns."""
    count, height, width, channels = images.shape
    side = np.sqrt(scale + (1.0 - scale) * draw(Slot.SCALE))
    above, below, weight = _taps(side, draw(Slot.SCALE_Y), height)
    whole = images.astype(np.float32)
    each = np.arange(count)[:, None]
    rows = _between(whole[each, above], whole[each, below], weight[:, :, None, None])
    before, after, weight = _taps(side, draw(Slot.SCALE_X), width)
    start = (np.arange(count * height) * width).reshape(count, height, 1)
    flat = rows.reshape(-1, channels)
    return _between(
        flat.take(start + before[:, None, :], axis=0),
        flat.take(start + after[:, None, :], axis=0),
        weight[:, None, :, None],
    )


def _taps(
    side: NDArray[np.float64], place: NDArray[np.float64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Pixels]:
    """The two source lines for each of `length` new ones, and the second one's weight."""
    span = (side * length)[:, None]
    first = place[:, None] * (length - span)
    at = first + (np.arange(length) + 0.5) * span / length - 0.5
    at = np.clip(at, 0.0, length - 1.0)
    low = at.astype(np.int64)
    return low, np.minimum(low + 1, length - 1), (at - low).astype(np.float32)


def _between(low: Pixels, high: Pixels, weight: Pixels) -> Pixels:
    high -= low
    high *= weight
    high += low
    return high


def _recolour(pixels: Pixels, images: Images, config: Augment, draw: Draw) -> None:
    """Brightness multiplies; contrast stretches about the original image's mean."""
    gain = 1.0 + config.brightness * (2.0 * draw(Slot.BRIGHTNESS) - 1.0)
    stretch = 1.0 + config.contrast * (2.0 * draw(Slot.CONTRAST) - 1.0)
    # A sum of integers does not depend on the order of summation, so not on the batch either.
    mean = images.sum(axis=(1, 2, 3), dtype=np.int64) / (255.0 * images[0].size)
    pixels *= (gain * stretch).astype(np.float32)[:, None, None, None]
    pixels += (gain * (1.0 - stretch) * mean).astype(np.float32)[:, None, None, None]
    np.clip(pixels, 0.0, 1.0, out=pixels)


def _erase(pixels: Pixels, share: float, draw: Draw) -> None:
    height, width = pixels.shape[1:3]
    side = round(share * min(height, width))
    top = (draw(Slot.ERASE_Y) * (height - side + 1)).astype(int)
    left = (draw(Slot.ERASE_X) * (width - side + 1)).astype(int)
    for image, y, x in zip(pixels, top, left, strict=True):
        image[y : y + side, x : x + side] = GREY
