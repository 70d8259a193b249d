"""Splits on disk: who goes where, writing without holding them in memory, opening them."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.data.image import mixing
from edgedistill.data.image.augment import Images, Pixels
from edgedistill.data.image.augment import view as changed_view
from edgedistill.data.sound.split import WINDOWS, open_sounds
from edgedistill.data.split import Floats, Labels, Split, View
from edgedistill.recipe import Augment
from edgedistill.tasks.labels import LabelForm, OneClass

SMALL = 64
"""Images up to this size are read and augmented in no time, where they are asked for."""
SPLITS = ("train", "validation", "test")
TEST_SEED = 20261122
"""Fixed, so that a test set cut out of the training images is the same in every run."""

ONE_CLASS = OneClass()

# Slots of the random numbers, apart from those of augmentation.
HELD_OUT, BALANCED = 100, 101


@dataclass(frozen=True)
class ImageSplit(Split):
    """images: (samples, height, width, channels), uint8, mapped from disk where they lie there;
    labels: (samples,), int64, a class, -1 where nobody knows; or (samples, values), float32, NaN
    where nobody knows; numbers: (samples,), int64, each
    image's place in the user's own data."""

    images: Images
    labels: Labels
    numbers: NDArray[np.int64] | None = None
    meant: tuple[int, int] | None = None
    """Height and width of the data's images, where these are the same in another size."""

    def pixels(self, ids: NDArray[np.int64]) -> Pixels:
        """(batch, channels, height, width), float32 in 0..1, channels-last in memory."""
        chosen = np.asarray(self.images[ids])
        return np.divide(chosen, np.float32(255)).transpose(0, 3, 1, 2)

    def inputs(self, ids: NDArray[np.int64], view: View | None = None) -> dict[str, Floats]:
        """`pixels`, (batch, channels, height, width) in 0..1."""
        if view is None:
            return {"pixels": self.pixels(ids)}
        changed, mix = self._changed(ids, view), self.mix(ids, view)
        if mix is not None and mix.shares.any():
            others = self._changed(mix.others[mix.shares > 0], view)
            mixing.lay(changed, others, mix, self._meant)
        return {"pixels": changed}

    def mix(self, ids: NDArray[np.int64], view: View) -> mixing.Mix | None:
        """Other images of this split, by mixup or CutMix."""
        assert isinstance(view.augment, Augment)
        return mixing.drawn(ids, len(self), view.seed, view.number, view.augment, self._meant)

    def _changed(self, ids: NDArray[np.int64], view: View) -> Pixels:
        assert isinstance(view.augment, Augment)
        images = np.asarray(self.images[ids])
        return changed_view(images, ids, view.seed, view.number, view.augment, self.meant)

    @property
    def _meant(self) -> tuple[int, ...]:
        return self.meant or self.images.shape[1:3]

    @property
    def quick(self) -> bool:
        """Whether no side is above `SMALL` pixels."""
        return bool(max(self.images.shape[1:3]) <= SMALL)

    @property
    def sample_bytes(self) -> int:
        """Of one image as float32."""
        return 4 * int(np.prod(self.images.shape[1:]))

    def __reduce__(self) -> tuple[Callable[..., Split], tuple[Any, ...]]:
        # A worker process maps the file again; pickling the map would copy all images.
        if isinstance(self.images, np.memmap):
            folder = Path(str(self.images.filename)).parent
            height, width = self.images.shape[1:3]
            return open_split, (folder.parent, folder.name, (height, width))
        return ImageSplit, (self.images, self.labels, self.numbers, self.meant)


@dataclass(frozen=True)
class ArraySplit(Split):
    """arrays: float32 (samples, *shape) by name, in the order in which a model takes them, mapped
    from disk where they lie there. Augmentation, which is of pictures, does not change them."""

    arrays: Mapping[str, Floats]
    labels: Labels
    numbers: NDArray[np.int64] | None = None

    def inputs(self, ids: NDArray[np.int64], view: View | None = None) -> dict[str, Floats]:
        """The arrays by name, float32 (batch, *shape); `view` changes nothing."""
        return {name: np.array(values[ids], np.float32) for name, values in self.arrays.items()}

    @property
    def quick(self) -> bool:
        """Always: nothing is decoded or changed."""
        return True

    @property
    def sample_bytes(self) -> int:
        """Of all arrays of one sample, as float32."""
        return 4 * sum(int(np.prod(values.shape[1:])) for values in self.arrays.values())


def open_split(folder: Path, name: str, size: tuple[int, int] | None = None) -> Split:
    """A split of a data artifact. Raises FileNotFoundError: there is none of that name.

    size: height and width that a model sees, where these are not the data's.
    """
    if (folder / name / WINDOWS).is_file():
        return open_sounds(folder, name)
    files = sorted((folder / name).glob("array*_*.npy"), key=_place)
    if not files:
        return open_images(folder, name, size)
    arrays = {path.stem.partition("_")[2]: _mapped(path) for path in files}
    return ArraySplit(arrays, *_labels(folder / name))


def open_images(folder: Path, name: str, size: tuple[int, int] | None = None) -> ImageSplit:
    """The same of data that are known to be pictures."""
    images = _mapped(folder / name / images_file())
    meant = images.shape[1:3]
    if size in (None, meant):
        return ImageSplit(images, *_labels(folder / name))
    images = _mapped(folder / name / images_file(size))
    return ImageSplit(images, *_labels(folder / name), meant)


def _labels(folder: Path) -> tuple[Labels, NDArray[np.int64]]:
    return tuple(np.load(folder / f"{name}.npy", allow_pickle=False)
                 for name in ("labels", "samples"))  # fmt: skip


def _mapped(path: Path) -> NDArray[Any]:
    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def _place(path: Path) -> int:
    """Of an array among those that a model takes, by its file's name."""
    return int(path.stem.partition("_")[0].removeprefix("array"))


def images_file(size: tuple[int, int] | None = None) -> str:
    """Where a split's images lie: the data's, or the same in another size."""
    return "images.npy" if size is None else f"images_{size[0]}x{size[1]}.npy"


class ArrayWriter:
    """Writes an `.npy` file whose length is known at its end.

    Plain writes rather than a writable map: on a full disk they raise, a map kills the process.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str = "|u1") -> None:
        """shape, dtype: of each sample; the type as NumPy writes it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._shape, self._dtype, self._count = shape, dtype, 0
        self._stream = path.open("wb")
        self._stream.write(self._header())

    def _header(self) -> bytes:
        """NumPy pads its header so that the first axis can grow: the length is always the same."""
        text = io.BytesIO()
        shape = (self._count, *self._shape)
        head = {"descr": self._dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(text, head)
        return text.getvalue()

    def add(self, values: NDArray[Any]) -> None:
        """values: (batch, *shape)"""
        self._stream.write(np.ascontiguousarray(values, self._dtype).data)
        self._count += len(values)

    def keep(self, count: int) -> None:
        """Take all but the first `count` samples back."""
        self._stream.flush()
        bytes_each = np.dtype(self._dtype).itemsize * math.prod(self._shape)
        self._stream.truncate(len(self._header()) + count * bytes_each)
        self._stream.seek(0, os.SEEK_END)
        self._count = count

    def close(self) -> None:
        """Write the final count."""
        self._stream.seek(0)
        self._stream.write(self._header())
        self._stream.close()


class SplitWriter:
    """Writes a split sample by sample, with the memory of one batch."""

    def __init__(self, folder: Path, *arrays: ArrayWriter) -> None:
        """arrays: what is written for each sample, into `folder`."""
        self._folder = folder
        self._arrays = arrays
        self._labels: list[Labels] = []
        self._samples: list[NDArray[np.int64]] = []

    def add(
        self, values: Sequence[NDArray[Any]], labels: Labels, samples: NDArray[np.int64]
    ) -> None:
        """values: of a batch, for each of the arrays; samples: (batch,), the samples' places in
        the user's own data."""
        for writer, each in zip(self._arrays, values, strict=True):
            writer.add(each)
        self._labels.append(labels)
        self._samples.append(samples)

    def close(self) -> Labels:
        """Write the labels, the places and the final count; returns the labels, (samples,) or
        (samples, values)."""
        labels = np.concatenate(self._labels) if self._labels else np.empty(0, np.int64)
        for writer in self._arrays:
            writer.close()
        np.save(self._folder / "labels.npy", labels)
        places = np.concatenate([np.empty(0, np.int64), *self._samples])
        np.save(self._folder / "samples.npy", places)
        return labels


def image_writer(folder: Path, *shapes: tuple[int, int, int]) -> SplitWriter:
    """Of images in one size or several, (height, width, channels); the data's is the first."""
    first, *others = shapes
    files = [(images_file(), first), *((images_file(each[:2]), each) for each in others)]
    return SplitWriter(folder, *(ArrayWriter(folder / name, shape) for name, shape in files))


def array_writer(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> SplitWriter:
    """Of float32 arrays of these shapes, by name."""
    files = (
        ArrayWriter(folder / f"array{place}_{name}.npy", shape, "<f4")
        for place, (name, shape) in enumerate(shapes.items())
    )
    return SplitWriter(folder, *files)


def held_out(
    labels: Labels, share: float, seed: int, form: LabelForm = ONE_CLASS
) -> NDArray[np.bool_]:
    """(samples,): a choice of about `share` of the samples, stratified as the form of the labels
    tells."""
    return form.held_out(labels, share, uniform(seed, np.arange(len(labels)), slot=HELD_OUT))


def limited(
    labels: Labels, limit: int, seed: int, form: LabelForm = ONE_CLASS
) -> NDArray[np.bool_]:
    """(samples,): a choice of at most `limit` samples, of classes as many of each as there are to
    be had."""
    return form.limited(labels, limit, uniform(seed, np.arange(len(labels)), slot=BALANCED))
