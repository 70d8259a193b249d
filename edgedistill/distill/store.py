"""The store of a teacher's answers: computed once, read by every stage that trains."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import write_json
from edgedistill.errors import UserError

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """Logits (views, samples, classes), float32, memory-mapped."""

    logits: NDArray[np.float32]

    @property
    def views(self) -> int:
        return int(self.logits.shape[0])

    def __call__(self, ids: NDArray[np.int64], view: int) -> Array:
        """Logits (batch, classes) for samples `ids` as they look in `view`."""
        return np.ascontiguousarray(self.logits[view % self.views, ids])


def open_answers(folder: Path) -> Answers:
    return Answers(np.load(folder / "answers.npy", mmap_mode="r"))


def fill(
    folder: Path,
    progress: Path,
    shape: tuple[int, int, int],
    batch_size: int,
    answer: Callable[[NDArray[np.int64], int], Array],
    tick: Callable[[float, float, float], Any],
) -> float:
    """Ask for every (view, sample) once and keep the logits in `folder/answers.npy`.

    `answer(ids, view)` gives (batch, classes). What was answered before a kill is not asked again:
    `progress` counts the batches on disk. `tick` gets batches done, batches in all, and seconds.
    Returns the seconds it took, those before a kill too.

    Raises UserError: an answer that is not finite (with the samples), or of the wrong shape.
    """
    views, samples, classes = shape
    path = folder / "answers.npy"
    batches = [
        (view, np.arange(start, min(start + batch_size, samples), dtype=np.int64))
        for view in range(views)
        for start in range(0, samples, batch_size)
    ]
    before = {"done": 0, "seconds": 0.0}
    if progress.exists() and path.exists():
        before = json.loads(progress.read_text())
    done, started = int(before["done"]), time.monotonic() - before["seconds"]
    mode: Any = "r+" if done else "w+"
    store = np.lib.format.open_memmap(path, mode, dtype=np.float32, shape=shape)
    with path.open("r+b") as file:
        # A mapped file has no blocks yet; on a full disk, writing to it would kill the process.
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    for number, (view, ids) in enumerate(batches[done:], start=done):
        logits = answer(ids, view)
        if logits.shape != (len(ids), classes):
            raise UserError(
                f"the teacher answered with shape {logits.shape} for {len(ids)} images, "
                f"expected ({len(ids)}, {classes})",
                "teacher and data must have the same classes",
            )
        wrong = ~np.isfinite(logits).all(axis=1)
        if wrong.any():
            raise UserError(
                "the teacher's answers are not finite for training samples "
                f"{ids[wrong][:8].tolist()}",
                "check the teacher's weights and normalization",
            )
        store[view, ids] = logits
        seconds = time.monotonic() - started
        if number % 16 == 15 or number + 1 == len(batches):
            store.flush()
            write_json(progress, {"done": number + 1, "seconds": seconds})
        tick(number + 1, len(batches), seconds)
    return time.monotonic() - started
