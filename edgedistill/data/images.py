"""Images that were not part of a recipe: to evaluate a bundle on, or to predict."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.augment import Pixels
from edgedistill.data.decode import BadImage, Form, decode
from edgedistill.data.prepare import test_part
from edgedistill.data.sources import Samples, arrays, folder, open_source, parquet
from edgedistill.data.sources.base import check_labels, existing, for_task, is_folder, to_classes
from edgedistill.data.splits import Split
from edgedistill.data.workers import decode_all, worker_count
from edgedistill.errors import UserError
from edgedistill.recipe import Data

if TYPE_CHECKING:
    from PIL import Image

    Picture = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]


def read_images(
    source: Path | Data,
    classes: Sequence[str],
    image_size: int,
    channels: int,
    task: str = "classification",
) -> Split:
    """Labelled images in memory: a folder of class folders, a `.parquet` (or a folder of them) or
    `.npz` file, or the test set of a recipe's `data`. Labels are matched by class name where the
    source has names, else taken as numbers in the order of `classes`; a class may be missing.

    Raises UserError: nothing there, a class or label that the model does not have, an image that
    cannot be decoded.
    """
    samples, ids = _find(source, classes, task)
    check_labels(samples, classes, task)
    return Split(_decoded(samples, ids, image_size, channels), samples.labels[ids])


def read_unlabelled(root: Path, image_size: int, channels: int) -> NDArray[np.uint8]:
    """All images below a folder, (samples, height, width, channels), in memory.

    Raises UserError: no folder, no images in it, one that cannot be decoded.
    """
    samples, _ = folder.unlabelled(root)
    return _decoded(samples, np.arange(len(samples.labels)), image_size, channels)


def _decoded(
    samples: Samples, ids: NDArray[np.int64], image_size: int, channels: int
) -> NDArray[np.uint8]:
    form = Form(image_size, channels)
    workers = worker_count(None, samples.encoded_bytes)
    images = np.empty((len(ids), image_size, image_size, channels), np.uint8)
    done = 0
    for chunk in decode_all(samples.read(ids), form, workers):
        for failure in chunk.failures:
            name = samples.name(int(ids[done + failure.at]))
            raise UserError(f"{name}: {failure.reason}", "mend or remove it")
        images[done : done + len(chunk.images)] = chunk.images
        done += len(chunk.images)
    assert done == len(ids), "a source must give every image it is asked for"
    return images


def _find(
    source: Path | Data, classes: Sequence[str], task: str
) -> tuple[Samples, NDArray[np.int64]]:
    if not isinstance(source, Path):
        opened = open_source(source, task)
        samples, ids = test_part(opened)
        check_labels(samples, opened.classes, task)
        return to_classes(samples, opened.classes, classes, source.source), ids
    samples = for_task(_find_path(source, classes), task)
    return samples, np.arange(len(samples.labels))


def _find_path(path: Path, classes: Sequence[str]) -> Samples:
    if is_folder(existing(path, "data")) and not any(path.glob("*.parquet")):
        names = folder.class_folders(path)
        return to_classes(folder.samples(path, names)[0], names, classes, str(path))
    if is_folder(path) or path.suffix == ".parquet":
        samples, found = parquet.samples(path, None, None)
        if found is None:
            return samples
        check_labels(samples, found)
        return to_classes(samples, found, classes, str(path))
    if path.suffix == ".npz":
        return arrays.samples(path)
    raise UserError(
        f"{path}: no kind of data that is read",
        "give a folder with one folder for each class, a .parquet or an .npz file",
    )


def to_pixels(images: Picture | Iterable[Picture], image_size: int, channels: int) -> Pixels:
    """One image or many, prepared as the training images were: (batch, channels, height, width),
    float32 in 0..1. An image is a path, a Pillow image or a uint8 array (height, width[,
    channels]); an array with four axes is many.

    Raises UserError: an image that cannot be read, named by its path or place.
    """
    form = Form(image_size, channels)
    decoded = []
    for at, image in enumerate(_each(images)):
        try:
            decoded.append(decode(image, form))
        except BadImage as bad:
            name = str(image) if isinstance(image, str | os.PathLike) else f"image {at}"
            hint = "mend or replace it" if bad.skippable else bad.hint
            raise UserError(f"{name}: {bad.reason}", hint) from None
    whole = np.array(decoded, np.uint8).reshape(-1, image_size, image_size, channels)
    return np.divide(whole, np.float32(255)).transpose(0, 3, 1, 2)


def _each(images: Any) -> Iterator[Any]:
    array = isinstance(images, np.ndarray)
    many = images.ndim == 4 if array else isinstance(images, Iterable)
    return iter(images if many and not isinstance(images, str | bytes) else [images])
