"""Images that belong to no class, to see whether a model is less sure of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgedistill.data import ImageSplit, read_unlabelled
from edgedistill.data.image.decode import Form
from edgedistill.recipe import AuditConfig
from edgedistill.records import DataRecord

Size = tuple[int, int] | None
"""Height and width of what a model sees; None: the data's."""


_NOISE = 500


def images_of_no_class(
    asked: AuditConfig, data: DataRecord, sizes: Sequence[Size], seed: int
) -> tuple[dict[Size, ImageSplit], tuple[str, ...]]:
    """Images of no class in each size, and what is not among them, in sentences."""
    pictures = data.pictures
    assert pictures is not None, "an audit of samples that are no pictures"
    found: dict[Size, ImageSplit] = {}
    notes: tuple[str, ...] = ()
    for size in sizes:
        form = Form(size or pictures.size, pictures.channels, pictures.resize)
        if asked.out_of_distribution is None:
            random = np.random.default_rng([seed, 4])
            images = random.integers(0, 256, (_NOISE, *form.shape), np.uint8)
        else:
            read = read_unlabelled(asked.out_of_distribution, form)
            images, notes = read.images, read.notes
        found[size] = ImageSplit(images, np.zeros(len(images), np.int64))
    return found, notes
