"""Batches for the training loop."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.split import Split, View
from edgedistill.recipe import Changes

if TYPE_CHECKING:
    import torch

    Batch = tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor]

MOST = 8
"""Threads, unless a recipe says otherwise: each holds two batches."""


def batches(
    split: Split,
    order: Sequence[NDArray[np.int64]],
    view: int = 0,
    seed: int = 0,
    augment: Changes | None = None,
    workers: int | None = None,
) -> Iterator[Batch]:
    """Yields (ids, inputs, labels) for each array of ids in `order`, in order.

    ids, labels: (batch,), int64; inputs: what a model is called with, such as pixels (batch,
    channels, height, width), float32 in 0..1, channels-last in memory. With `augment` they are
    view number `view` under `seed`; without, the samples as they are. `workers` threads read and
    augment ahead (0: this one, when asked; None: by the images' size). The same batches come
    whatever `workers` is, and torch's own random state is neither used nor moved on, so an epoch
    can be taken up in its middle: pass the rest of `order`.
    """

    changes = None if augment is None else View(augment, seed, view)

    def read(ids: NDArray[np.int64]) -> Batch:
        return _read(split, ids, changes)

    count = worker_count(split, workers, len(order))
    yield from _ahead(read, order, count) if count else map(read, order)


def _ahead(
    read: Callable[[NDArray[np.int64]], Batch], order: Sequence[NDArray[np.int64]], workers: int
) -> Iterator[Batch]:
    """Not in forked processes: other libraries' threads run by then, whose locks a fork copies.
    NumPy lets go of the interpreter while it copies and computes, and nothing has to be sent."""
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers, "edgedistill-batches") as threads:
        try:
            for ids in order:
                waiting.append(threads.submit(read, ids))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)


def _read(split: Split, ids: NDArray[np.int64], view: View | None) -> Batch:
    import torch

    inputs = tuple(map(torch.from_numpy, split.inputs(ids, view).values()))
    return torch.from_numpy(ids), inputs, torch.from_numpy(split.labels[ids])


def worker_count(split: Split, workers: int | None, steps: int) -> int:
    """Threads that read ahead, no more than there are batches: `workers`, or by default none where
    reading takes no time, else one less than there are processors, up to `MOST`."""
    if workers is None:
        workers = 0 if split.quick else min(MOST, max(1, (os.cpu_count() or 2) - 1))
    return min(workers, steps)


def epoch_order(samples: int, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The batches of one epoch, (batch_size,) each, whole ones only: a batch of a few samples
    upsets batch norm."""
    order = np.random.default_rng([seed, epoch]).permutation(samples).astype(np.int64)
    count = samples // batch_size
    return np.split(order[: count * batch_size], count)
