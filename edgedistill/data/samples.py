"""Some of a split's samples as an app would feed them to a model: without augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.split import Split

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 64


def tensors(split: Split, ids: NDArray[np.int64]) -> tuple[Tensor, ...]:
    """What a model is called with for the samples of `ids` (batch,), contiguous, (batch, ...)."""
    import torch

    arrays = split.inputs(ids).values()
    return tuple(torch.from_numpy(each).contiguous() for each in arrays)


def calibration(split: Split, samples: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """So many samples drawn under `seed`, or all, in batches: what ranges are set by."""
    samples = min(samples, len(split))
    chosen = np.sort(np.random.default_rng([seed, 2]).permutation(len(split))[:samples])
    for start in range(0, samples, _BATCH):
        yield tensors(split, chosen[start : start + _BATCH])
