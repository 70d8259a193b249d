"""Images made worse as cameras and codecs do it: how far can a model be trusted outside the lab?"""

from __future__ import annotations

import io
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.data.strengths import amount_of

Images = NDArray[np.uint8]
Pixels = NDArray[np.float64]

STRENGTHS: dict[str, tuple[float, float, float]] = {
    "blur": (0.4, 0.7, 1.0),
    "noise": (0.04, 0.08, 0.10),
    "brightness": (0.05, 0.15, 0.30),
    "contrast": (0.75, 0.40, 0.15),
    "jpeg": (80, 58, 40),
}
"""What the strengths 1, 2 and 3 mean: severities 1, 3 and 5 of CIFAR-10-C (Hendrycks & Dietterich
2019, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations").

blur: standard deviation of the Gaussian in pixels of an image 32 wide, growing with wider ones;
noise: standard deviation of what is added to pixels in 0..1; brightness: what is added to the
value of HSV; contrast: the factor on what differs from each channel's mean; jpeg: the quality.
"""

KINDS = tuple(STRENGTHS)

_SIDE = 32
_RADIUS, _ANGLE = 100, 101  # slots of the counter that no augmentation draws from


def corrupt(images: Images, kind: str, strength: int, seed: int, ids: NDArray[np.int64]) -> Images:
    """images: (batch, height, width, channels), uint8, 1 or 3 channels; ids: (batch,), the images'
    numbers in their split; strength: 1..3. Returns the same shape.

    Noise depends on `seed` and the image's id, and is the same pattern at each strength; the rest
    depends on the image alone. So nothing depends on the batch.

    Raises UserError: an unknown kind or strength.
    """
    amount = amount_of(kind, strength, STRENGTHS)
    out = np.empty_like(images)
    # One by one: products of whole batches may round differently from those of single images.
    for at, image in enumerate(images):
        if kind == "jpeg":
            out[at] = _jpeg(image, int(amount))
            continue
        pixels = image / 255.0
        if kind == "blur":
            pixels = _blur(pixels, amount)
        elif kind == "noise":
            pixels += amount * _gaussian(pixels.shape, seed, int(ids[at]))
        elif kind == "brightness":
            pixels = _brighten(pixels, amount)
        else:
            mean = pixels.mean(axis=(0, 1))
            pixels = (pixels - mean) * amount + mean
        out[at] = np.rint(255.0 * pixels.clip(0.0, 1.0))
    return out


def _blur(pixels: Pixels, deviation: float) -> Pixels:
    height, width = pixels.shape[:2]
    # Not less for smaller images: so narrow a Gaussian would leave the pixels as they are.
    deviation *= max(1.0, min(height, width) / _SIDE)
    rows = (_blurring(height, deviation) @ pixels.reshape(height, -1)).reshape(pixels.shape)
    blurred: Pixels = _blurring(width, deviation) @ rows
    return blurred


@lru_cache(maxsize=8)
def _blurring(length: int, deviation: float) -> Pixels:
    """(length, length): each row weighs a line's pixels for one new pixel. The line goes on with
    its last pixel beyond its ends; the Gaussian is cut off at four deviations."""
    reach = math.ceil(4 * deviation)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / deviation) ** 2)
    weights = np.zeros((length, length))
    each = np.arange(length)
    for offset, weight in zip(offsets, kernel / kernel.sum(), strict=True):
        weights[each, (each + offset).clip(0, length - 1)] += weight
    return weights


def _gaussian(shape: tuple[int, ...], seed: int, number: int) -> Pixels:
    """Normal deviates by Box & Muller 1958, a counter's number for each value of the image."""
    size = math.prod(shape)
    values = number * size + np.arange(size)
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, values, slot=_RADIUS)))
    deviates: Pixels = radius * np.cos(2.0 * np.pi * uniform(seed, values, slot=_ANGLE))
    return deviates.reshape(shape)


def _brighten(pixels: Pixels, amount: float) -> Pixels:
    """Raise HSV's value, the largest channel; hue and saturation stay. Black becomes grey."""
    value = pixels.max(axis=2, keepdims=True)
    ratio = np.divide(pixels, value, out=np.ones_like(pixels), where=value > 0)
    brighter: Pixels = ratio * np.minimum(value + amount, 1.0)
    return brighter


def _jpeg(image: Images, quality: int) -> Images:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(
        stream, "JPEG", quality=quality
    )
    with Image.open(stream) as decoded:
        return np.asarray(decoded).reshape(image.shape)
