"""Samples made worse, whatever they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image import corrupt as of_pictures
from edgedistill.data.sound import corrupt as of_sound
from edgedistill.data.sound.split import SoundSplit
from edgedistill.data.split import Split
from edgedistill.data.splits import ArraySplit, ImageSplit


def kinds(split: Split) -> tuple[str, ...]:
    """In which ways the samples of a split, pictures or sound, are made worse."""
    return of_pictures.KINDS if isinstance(split, ImageSplit) else of_sound.KINDS


def some(split: Split, ids: NDArray[np.int64]) -> Split:
    """The samples `ids` (n,) of a split of pictures or sound as they are, in memory."""
    if isinstance(split, ImageSplit):
        return ImageSplit(np.asarray(split.images[ids]), split.labels[ids])
    return ArraySplit(split.inputs(ids), split.labels[ids])


def made_worse(split: Split, ids: NDArray[np.int64], kind: str, strength: int, seed: int) -> Split:
    """The same at strength 1, 2 or 3 of one of `kinds`; see `corrupt` of either."""
    labels = split.labels[ids]
    if isinstance(split, ImageSplit):
        images = np.asarray(split.images[ids])
        return ImageSplit(of_pictures.corrupt(images, kind, strength, seed, ids), labels)
    assert isinstance(split, SoundSplit), "samples that are neither pictures nor sound"
    samples = split.inputs(ids)["samples"]
    worse = of_sound.corrupt(samples, kind, strength, seed, ids, split.rate)
    return ArraySplit({"samples": worse}, labels)
