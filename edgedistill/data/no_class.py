"""Images or sound of no class, to see whether a model is less sure of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgedistill.data.image.decode import Form
from edgedistill.data.image.reading import read_unlabelled
from edgedistill.data.sound.reading import read_tiled
from edgedistill.data.split import Split
from edgedistill.data.splits import ArraySplit, ImageSplit
from edgedistill.recipe import AuditConfig, Sound
from edgedistill.records import DataRecord, SoundForm

Size = tuple[int, int] | None
"""Height and width of what a model sees; None: the data's, also where they are no pictures."""

_NOISE = 500
_LOUDNESS_DB = (-50.0, -10.0)
"""Of noise that stands in for sound, below full scale."""


def samples_of_no_class(
    asked: AuditConfig, data: DataRecord, sizes: Sequence[Size], seed: int
) -> tuple[Mapping[Size, Split], tuple[str, ...]]:
    """Images of no class in each size, or windows of sound, and what is not among them, in
    sentences."""
    if data.sound is not None:
        split, notes = _sounds(asked, data.sound, seed)
        return dict.fromkeys(sizes, split), notes
    return _images(asked, data, sizes, seed)


def sound_of(form: SoundForm) -> Sound:
    """The same as a recipe says it, for what reads recordings."""
    return Sound(rate=form.rate, seconds=form.length / form.rate, cut=form.cut)


def _images(
    asked: AuditConfig, data: DataRecord, sizes: Sequence[Size], seed: int
) -> tuple[Mapping[Size, Split], tuple[str, ...]]:
    pictures = data.pictures
    assert pictures is not None, "an audit of samples that are neither pictures nor sound"
    found: dict[Size, Split] = {}
    notes: tuple[str, ...] = ()
    for size in sizes:
        form = Form(size or pictures.size, pictures.channels, pictures.resize)
        if asked.out_of_distribution is None:
            random = np.random.default_rng([seed, 4])
            images = random.integers(0, 256, (_NOISE, *form.shape), np.uint8)
        else:
            read = read_unlabelled(asked.out_of_distribution, form)
            images, notes = read.samples, read.notes
        found[size] = ImageSplit(images, np.zeros(len(images), np.int64))
    return found, notes


def _sounds(asked: AuditConfig, form: SoundForm, seed: int) -> tuple[Split, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if asked.out_of_distribution is None:
        random = np.random.default_rng([seed, 4])
        loudness = 10 ** (random.uniform(*_LOUDNESS_DB, (_NOISE, 1)) / 20)
        drawn = loudness * random.standard_normal((_NOISE, form.length))
        windows = drawn.clip(-1.0, 1.0).astype(np.float32)
    else:
        read = read_tiled(asked.out_of_distribution, sound_of(form))
        windows, notes = read.samples, read.notes
    return ArraySplit({"samples": windows}, np.zeros(len(windows), np.int64)), notes
