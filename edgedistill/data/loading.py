"""Batches for the training loop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.augment import view as augmented
from edgedistill.data.splits import Split
from edgedistill.recipe import Augment

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader

    Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

SMALL = 64
"""Images up to this size are read and augmented faster than they are sent between processes."""


class Views:
    """What a worker process holds: batch by batch of one view of a split."""

    def __init__(self, split: Split, view: int, seed: int, augment: Augment | None) -> None:
        self._split, self._view, self._seed, self._augment = split, view, seed, augment

    def __getitem__(self, ids: NDArray[np.int64]) -> Batch:
        import torch

        if self._augment is None:
            pixels = self._split.pixels(ids)
        else:
            images = np.asarray(self._split.images[ids])
            pixels = augmented(images, ids, self._seed, self._view, self._augment)
        labels = self._split.labels[ids]
        return torch.from_numpy(ids), torch.from_numpy(pixels), torch.from_numpy(labels)


def batches(
    split: Split,
    order: Sequence[NDArray[np.int64]],
    view: int = 0,
    seed: int = 0,
    augment: Augment | None = None,
    workers: int | None = None,
) -> Iterator[Batch]:
    """Yields (ids, pixels, labels) for each array of ids in `order`, in order.

    ids, labels: (batch,), int64; pixels: (batch, channels, height, width), float32 in 0..1,
    channels-last in memory. With `augment`, pixels are view number `view` under `seed`; without,
    the images as they are. `workers` processes read and augment (0: this one; None: by the
    images' size). The same batches come whatever `workers` is, and torch's own random state is
    neither used nor moved on, so an epoch can be taken up in its middle: pass the rest of `order`.
    """
    import torch
    from torch.utils.data import DataLoader

    count = worker_count(split, workers, len(order))
    loader: DataLoader[Batch] = DataLoader(
        Views(split, view, seed, augment),  # type: ignore[arg-type]
        sampler=_Order(order),
        batch_size=None,
        num_workers=count,
        generator=torch.Generator(),
    )
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield from loader
    finally:
        # torch leaves a handler behind that is called when any later child process ends. On
        # processors with AMX its frame may not fit the signal stack that another library set up,
        # and the process dies.
        if count and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)


class _Order:
    def __init__(self, order: Sequence[NDArray[np.int64]]) -> None:
        self._order = order

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)


def worker_count(split: Split, workers: int | None, steps: int) -> int:
    if workers is None:
        small = split.images.shape[1] <= SMALL
        workers = 0 if small else max(1, (os.cpu_count() or 2) - 1)
    return min(workers, steps)
