"""Images that were not part of a recipe: to evaluate a bundle on, or to predict."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image.augment import Pixels
from edgedistill.data.image.decode import BadImage, Form, decode
from edgedistill.data.prepare import test_part
from edgedistill.data.read import Read, left_out
from edgedistill.data.sources import Samples, arrays, folder, open_source, parquet
from edgedistill.data.sources.base import check_labels, existing, for_task, is_folder, to_classes
from edgedistill.data.workers import decode_all, worker_count
from edgedistill.errors import UserError
from edgedistill.recipe import Data
from edgedistill.tasks import TASKS

if TYPE_CHECKING:
    from PIL import Image

    Picture = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]


def read_images(
    source: Path | Data,
    classes: Sequence[str],
    form: Form,
    task: str = "classification",
) -> Read:
    """Labelled images: a folder of class folders, a `.parquet` (or a folder of them) or `.npz`
    file, or the test set of a recipe's `data`. Labels are matched by class name where the source
    has names, else taken as numbers in the order of `classes`; a class may be missing. What cannot
    be decoded is left out, and said.

    Raises UserError: nothing there, a class or label that the model does not have, no image that
    can be decoded.
    """
    samples, ids, notes = _find(source, classes, task)
    check_labels(samples, classes, task)
    return _decoded(samples, ids, form, notes)


def read_unlabelled(root: Path, form: Form) -> Read:
    """All images below a folder; what cannot be decoded is left out, and said.

    Raises UserError: no folder, no images in it that can be decoded.
    """
    samples, notes = folder.unlabelled(root)
    ids = np.arange(len(samples.labels))
    return _decoded(samples, ids, form, notes)


def _decoded(samples: Samples, ids: NDArray[np.int64], form: Form, notes: tuple[str, ...]) -> Read:
    workers = worker_count(None, samples.encoded_bytes)
    images = np.empty((len(ids), *form.shape), np.uint8)
    done, kept = 0, np.zeros(len(ids), bool)
    problems: list[str] = []
    for chunk in decode_all(samples.read(ids), [form], workers):
        (decoded,) = chunk.images
        read = len(decoded) + len(chunk.failures)
        failed = {failure.at for failure in chunk.failures}
        for failure in chunk.failures:
            told = f"{samples.name(int(ids[done + failure.at]))}: {failure.reason}"
            if not failure.skippable:
                raise UserError(told, failure.hint)
            problems.append(told)
        kept[done : done + read] = [at not in failed for at in range(read)]
        begin = done - len(problems) + len(failed)
        images[begin : begin + len(decoded)] = decoded
        done += read
    assert done == len(ids), "a source must give every image it is asked for"
    if problems:
        notes = (*notes, left_out(problems, len(ids), "images"))
    return Read(images[: kept.sum()], samples.labels[ids[kept]], len(problems), notes)


def _find(
    source: Path | Data, classes: Sequence[str], task: str
) -> tuple[Samples, NDArray[np.int64], tuple[str, ...]]:
    """The samples, which of them are meant, and what is to be said of the others."""
    if not isinstance(source, Path):
        opened = open_source(source, task)
        samples, ids = test_part(opened, TASKS[task].labels)
        check_labels(samples, opened.classes, task)
        samples = to_classes(samples, opened.classes, classes, source.source)
        return samples, ids, opened.notes
    found, notes = _find_path(source, classes)
    samples = for_task(found, task)
    return samples, np.arange(len(samples.labels)), notes


def _find_path(path: Path, classes: Sequence[str]) -> tuple[Samples, tuple[str, ...]]:
    if is_folder(existing(path, "data")) and not any(path.glob("*.parquet")):
        names = folder.class_folders(path)
        samples, notes = folder.samples(path, names)
        return to_classes(samples, names, classes, str(path)), notes
    if is_folder(path) or path.suffix == ".parquet":
        samples, found = parquet.samples(path, None, None)
        if found is None:
            return samples, ()
        check_labels(samples, found)
        return to_classes(samples, found, classes, str(path)), ()
    if path.suffix == ".npz":
        return arrays.samples(path), ()
    raise UserError(
        f"{path}: no kind of data that is read",
        "give a folder with one folder for each class, a .parquet or an .npz file",
    )


def to_pixels(images: Picture | Iterable[Picture], form: Form) -> Pixels:
    """One image or many, prepared as the training images were: (batch, channels, height, width),
    float32 in 0..1. An image is a path, a Pillow image or a uint8 array (height, width[,
    channels]); an array with four axes is many.

    Raises UserError: an image that cannot be read, named by its path or place.
    """
    decoded = []
    for at, image in enumerate(_each(images)):
        try:
            decoded.append(decode(image, form))
        except BadImage as bad:
            name = str(image) if isinstance(image, str | os.PathLike) else f"image {at}"
            hint = "mend or replace it" if bad.skippable else bad.hint
            raise UserError(f"{name}: {bad.reason}", hint) from None
    whole = np.array(decoded, np.uint8).reshape(-1, *form.shape)
    return np.divide(whole, np.float32(255)).transpose(0, 3, 1, 2)


def _each(images: Any) -> Iterator[Any]:
    array = isinstance(images, np.ndarray)
    many = images.ndim == 4 if array else isinstance(images, Iterable)
    return iter(images if many and not isinstance(images, str | bytes) else [images])
