"""One folder for each class, images inside at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.base import UNLABELLED, Samples, Source, existing
from edgedistill.errors import UserError, nearest
from edgedistill.recipe import FolderData

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)


def open_source(data: FolderData) -> Source:
    classes = class_folders(data.train)
    train, notes = samples(data.train, classes)
    if data.test is None:
        return Source(classes, train, None, data.test_share, notes)
    for name in class_folders(data.test):
        if name not in classes:
            raise UserError(
                f"{data.test}: class `{name}` has no folder in {data.train}",
                nearest(name, list(classes)),
            )
    test, more = samples(data.test, classes)
    return Source(classes, train, test, notes=notes + more)


def class_folders(root: Path) -> tuple[str, ...]:
    """Names of the class folders, sorted. Raises UserError: there are none."""
    if not existing(root, "folder").is_dir():
        raise UserError(f"{root}: is a file; a folder with one folder for each class is meant")
    names = sorted(item.name for item in root.iterdir() if item.is_dir() and not _hidden(item))
    if not names:
        raise UserError(
            f"{root}: has no class folders",
            "put the images of each class into a folder of their own: train/cat/1.png",
        )
    return tuple(names)


def samples(root: Path, classes: tuple[str, ...]) -> tuple[Samples, tuple[str, ...]]:
    """The images below `root`, and a note on files that were passed over."""
    paths: list[Path] = []
    labels: list[int] = []
    others: list[Path] = []
    for label, name in enumerate(classes):
        images, passed = _images(root / name)
        paths += images
        others += passed
        labels += [label] * len(images)
    return _samples(root, paths, labels, others, "class folders")


def unlabelled(root: Path) -> tuple[Samples, tuple[str, ...]]:
    """All images below `root`, and a note on files that were passed over."""
    if not existing(root, "folder").is_dir():
        raise UserError(f"{root}: is a file; a folder of images is meant")
    paths, others = _images(root)
    return _samples(root, paths, [UNLABELLED] * len(paths), others, "folders")


def _images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Images below a folder, and files that are none."""
    # Not `is_file`: a link to nowhere is to be heard of when it is read.
    files = [path for path in sorted(folder.rglob("*")) if not (path.is_dir() or _hidden(path))]
    images = [each for each in files if each.suffix.lower() in SUFFIXES]
    return images, [each for each in files if each.suffix.lower() not in SUFFIXES]


def _samples(
    root: Path, paths: list[Path], labels: list[int], others: list[Path], where: str
) -> tuple[Samples, tuple[str, ...]]:
    if not paths:
        raise UserError(
            f"{root}: there are no images in its {where}",
            f"images are files that end in {', '.join(sorted(SUFFIXES))}",
        )

    def read(ids: NDArray[np.int64]) -> Iterator[str]:
        return (str(paths[each]) for each in ids)

    def name_of(sample: int) -> str:
        return (Path(root.name) / paths[sample].relative_to(root)).as_posix()

    size = sum(path.stat().st_size for path in paths if path.exists())
    notes: tuple[str, ...] = ()
    if others:
        first = others[0].relative_to(root).as_posix()
        notes = (f"{root}: files that are no images, passed over: {len(others)}; first {first}",)
    return Samples(np.array(labels, np.int64), read, name_of, size), notes


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")
