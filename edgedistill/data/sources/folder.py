"""One folder for each class, images inside at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.base import (
    UNLABELLED,
    Samples,
    Source,
    checked_names,
    existing_folder,
    is_folder,
    shown,
)
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
    """Names of the class folders, sorted. Raises UserError: there are none, or a name is no
    UTF-8."""
    existing_folder(root, "a folder with one folder for each class")
    names = sorted(item.name for item in _entries(root) if is_folder(item) and not _hidden(item))
    if not names:
        raise UserError(
            f"{root}: has no class folders",
            "put the images of each class into a folder of their own: train/cat/1.png",
        )
    for name in names:
        if shown(name) != name:
            raise UserError(
                f"{root}: the name of class folder `{shown(name)}` is no UTF-8 text",
                "rename it: it is the class's name in everything that is written",
            )
    return checked_names(names, str(root))


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
    existing_folder(root, "a folder of images")
    paths, others = _images(root)
    return _samples(root, paths, [UNLABELLED] * len(paths), others, "folders")


def _images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Images below a folder, and files that are none."""
    files = [path for path in sorted(files_below(folder)) if not _hidden(path)]
    images = [each for each in files if each.suffix.lower() in SUFFIXES]
    return images, [each for each in files if each.suffix.lower() not in SUFFIXES]


def files_below(root: Path) -> Iterator[Path]:
    """All that is no folder, in any order: also a link to nowhere, which is to be heard of when it
    is read. Links to folders are not followed: they may lead back."""
    waiting = [root]
    while waiting:
        for path in _entries(waiting.pop()):
            if not is_folder(path):
                yield path
            elif not path.is_symlink():
                waiting.append(path)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:  # of a class that the test set lacks
        return []
    except OSError as error:
        told = error.strerror or type(error).__name__
        raise UserError(
            f"{shown(str(folder))[:200]}: cannot be listed: {told}", "mend or remove this folder"
        ) from None


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
        return shown((Path(root.name) / paths[sample].relative_to(root)).as_posix())

    size = sum(map(_size, paths))
    notes: tuple[str, ...] = ()
    if others:
        first = shown(others[0].relative_to(root).as_posix())
        notes = (f"{root}: files that are no images, passed over: {len(others)}; first {first}",)
    return Samples(np.array(labels, np.int64), read, name_of, size), notes


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nowhere, or in a circle
        return 0


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")
