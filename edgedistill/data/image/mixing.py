"""Two images in one, each drawn from (seed, id, view): mixup (Zhang et al. 2018) and CutMix (Yun
et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.data.image.augment import Pixels, Slot
from edgedistill.recipe import Augment

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Mix:
    """What is mixed into the images of a batch."""

    others: Ids
    """(batch,): numbers of the images that are mixed in."""
    shares: NDArray[np.float32]
    """(batch,): the part that these have; 0 where nothing is mixed in."""
    boxes: Ids
    """(batch, 4): first and last row, first and last column, the last ones excluded, that they
    cover; no row where the two are blended."""


def drawn(
    ids: Ids, samples: int, seed: int, view: int, config: Augment, size: tuple[int, ...]
) -> Mix | None:
    """What is mixed into images `ids` (batch,) of a split of so many; None where `config` mixes
    nothing. size: height and width that boxes count in."""
    if not config.mixes:
        return None

    def draw(slot: Slot) -> NDArray[np.float64]:
        return uniform(seed, ids, view, slot)

    kind, share = draw(Slot.MIXED), draw(Slot.MIXED_SHARE)
    blended = kind < config.mixup
    covered = ~blended & (kind < config.mixup + config.cutmix)
    boxes = np.zeros((len(ids), 4), np.int64)
    side = np.sqrt(share)
    for at, (slot, length) in enumerate(zip((Slot.BOX_Y, Slot.BOX_X), size, strict=True)):
        # A box lies anywhere, and what is outside is cut off (Yun et al. 2019, section 3.1).
        middle, half = draw(slot) * length, 0.5 * side * length
        boxes[:, 2 * at] = np.rint((middle - half).clip(0, length))
        boxes[:, 2 * at + 1] = np.rint((middle + half).clip(0, length))
    boxes[~covered] = 0
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) / (size[0] * size[1])
    others = (draw(Slot.PARTNER) * samples).astype(np.int64)
    return Mix(others, np.where(blended, share, area).astype(np.float32), boxes)


def lay(pixels: Pixels, others: Pixels, mix: Mix, size: tuple[int, ...]) -> None:
    """Change `pixels` (batch, channels, height, width) in place; others: what is mixed in, for
    those alone whose share is above 0; size: as of `drawn`."""
    by_y, by_x = pixels.shape[2] / size[0], pixels.shape[3] / size[1]
    for at, other in zip(np.flatnonzero(mix.shares), others, strict=True):
        image, (top, bottom, left, right) = pixels[at], mix.boxes[at]
        if bottom > top:
            rows = slice(round(top * by_y), round(bottom * by_y))
            columns = slice(round(left * by_x), round(right * by_x))
            image[:, rows, columns] = other[:, rows, columns]
        else:
            image += (other - image) * mix.shares[at]
