"""Splits on disk: who goes where, writing without holding them in memory, opening them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.data.image.augment import Images, Pixels
from edgedistill.tasks.labels import LabelForm, OneClass

Labels = NDArray[Any]

SPLITS = ("train", "validation", "test")
TEST_SEED = 20261122
"""Fixed, so that a test set cut out of the training images is the same in every run."""

ONE_CLASS = OneClass()

# Slots of the random numbers, apart from those of augmentation.
HELD_OUT, BALANCED = 100, 101


@dataclass(frozen=True)
class Split:
    """images: (samples, height, width, channels), uint8, mapped from disk where they lie there;
    labels: (samples,), int64, a class, -1 where nobody knows; or (samples, values), float32, NaN
    where nobody knows; numbers: (samples,), int64, each
    image's place in the user's own data."""

    images: Images
    labels: Labels
    numbers: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def samples(self) -> NDArray[np.int64]:
        """(samples,): `numbers`, or for images that come from nowhere else their own places."""
        return np.arange(len(self)) if self.numbers is None else self.numbers

    def pixels(self, ids: NDArray[np.int64]) -> Pixels:
        """(batch, channels, height, width), float32 in 0..1, channels-last in memory."""
        chosen = np.asarray(self.images[ids])
        return np.divide(chosen, np.float32(255)).transpose(0, 3, 1, 2)

    def __reduce__(self) -> tuple[Callable[..., Split], tuple[Any, ...]]:
        # A worker process maps the file again; pickling the map would copy all images.
        if isinstance(self.images, np.memmap):
            folder = Path(str(self.images.filename)).parent
            return open_split, (folder.parent, folder.name)
        return Split, (self.images, self.labels, self.numbers)


def open_split(folder: Path, name: str) -> Split:
    """A split of a data artifact. Raises FileNotFoundError: there is none of that name."""
    images = np.load(folder / name / "images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / name / "labels.npy", allow_pickle=False)
    numbers = np.load(folder / name / "samples.npy", allow_pickle=False)
    return Split(images, labels, numbers)


class SplitWriter:
    """Writes a split image by image, with the memory of one batch.

    Plain writes rather than a writable map: on a full disk they raise, a map kills the process.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        """shape: (height, width, channels)"""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._shape = shape
        self._labels: list[Labels] = []
        self._samples: list[NDArray[np.int64]] = []
        self._stream = (folder / "images.npy").open("wb")
        self._stream.write(self._header(0))

    def _header(self, count: int) -> bytes:
        """NumPy pads its header so that the first axis can grow: the length is always the same."""
        text = io.BytesIO()
        head = {"descr": "|u1", "fortran_order": False, "shape": (count, *self._shape)}
        np.lib.format.write_array_header_1_0(text, head)
        return text.getvalue()

    def add(self, images: Images, labels: Labels, samples: NDArray[np.int64]) -> None:
        """samples: (batch,), the images' places in the user's own data."""
        self._stream.write(np.ascontiguousarray(images).data)
        self._labels.append(labels)
        self._samples.append(samples)

    def close(self) -> Labels:
        """Write the labels, the places and the final count; returns the labels."""
        labels = np.concatenate(self._labels) if self._labels else np.empty(0, np.int64)
        self._stream.seek(0)
        self._stream.write(self._header(len(labels)))
        self._stream.close()
        np.save(self._folder / "labels.npy", labels)
        places = np.concatenate([np.empty(0, np.int64), *self._samples])
        np.save(self._folder / "samples.npy", places)
        return labels


def held_out(
    labels: Labels, share: float, seed: int, form: LabelForm = ONE_CLASS
) -> NDArray[np.bool_]:
    """A choice of about `share` of the samples, stratified as the form of the labels tells."""
    return form.held_out(labels, share, uniform(seed, np.arange(len(labels)), slot=HELD_OUT))


def limited(
    labels: Labels, limit: int, seed: int, form: LabelForm = ONE_CLASS
) -> NDArray[np.bool_]:
    """A choice of at most `limit` samples, of classes as many of each as there are to be had."""
    return form.limited(labels, limit, uniform(seed, np.arange(len(labels)), slot=BALANCED))
