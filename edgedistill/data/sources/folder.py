"""One folder for each class, images or recordings inside at any depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
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
from edgedistill.data.sources.files import IMAGES, SOUNDS, Kind
from edgedistill.errors import UserError, nearest
from edgedistill.recipe import FolderData

NAMED = 5
"""Classes, and endings, that a note names."""


def open_source(data: FolderData) -> Source:
    """The folders of `train` and `test`. Raises UserError: a folder is missing or empty, or a class
    of `test` is none of `train`'s."""
    kind = IMAGES if data.sound is None else SOUNDS
    classes = class_folders(data.train, _others(data), kind)
    train, notes = samples(data.train, classes, kind)
    if data.test is None:
        return Source(classes, train, None, data.test_share, notes)
    for name in class_folders(data.test, _others(data), kind):
        if name not in classes:
            raise UserError(
                f"{data.test}: class `{name}` has no folder in {data.train}",
                nearest(name, list(classes)),
            )
    test, more = samples(data.test, classes, kind)
    return Source(classes, train, test, notes=notes + more)


def _others(data: FolderData) -> set[Path]:
    """Folders that are given as something else than a class."""
    sound = data.sound
    return set() if sound is None else {path.resolve() for path in sound.negatives + sound.noise}


def class_folders(root: Path, others: Container[Path] = (), kind: Kind = IMAGES) -> tuple[str, ...]:
    """Names of the class folders, sorted, but for `others`. Raises UserError: there are none, or a
    name is no UTF-8."""
    existing_folder(root, "a folder with one folder for each class")
    names = sorted(
        item.name
        for item in _entries(root)
        if is_folder(item) and not _hidden(item) and not (others and item.resolve() in others)
    )
    if not names:
        raise UserError(
            f"{root}: has no class folders",
            f"put the {kind.word} of each class into a folder of their own: "
            f"train/cat/1{kind.usual}",
        )
    for name in names:
        if shown(name) != name:
            raise UserError(
                f"{root}: the name of class folder `{shown(name)}` is no UTF-8 text",
                "rename it: it is the class's name in everything that is written",
            )
    return checked_names(names, str(root))


def samples(
    root: Path, classes: tuple[str, ...], kind: Kind = IMAGES
) -> tuple[Samples, tuple[str, ...]]:
    """The files of a kind below `root`, and notes on those that were passed over."""
    found = [(name, *_files(root / name, kind)) for name in classes]
    labels = [label for label, (_, files, _) in enumerate(found) for _ in files]
    return _samples(root, labels, found, "class folders", kind)


def unlabelled(root: Path, kind: Kind = IMAGES) -> tuple[Samples, tuple[str, ...]]:
    """All files of a kind below `root`, and notes on those that were passed over."""
    existing_folder(root, f"a folder of {kind.word}")
    files, others = _files(root, kind)
    return _samples(root, [UNLABELLED] * len(files), [("", files, others)], "folders", kind)


def _files(folder: Path, kind: Kind) -> tuple[list[Path], list[Path]]:
    """Files of a kind below a folder, and others, or those that are not read here."""
    files = [path for path in sorted(files_below(folder)) if not _hidden(path)]
    wanted = [path for path in files if kind.is_read(path)]
    there = set(wanted)
    return wanted, [path for path in files if path not in there]


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


_Found = tuple[str, list[Path], list[Path]]
"""A class ("" where there are none), its files, and what was passed over."""


def _samples(
    root: Path, labels: list[int], found: Sequence[_Found], where: str, kind: Kind
) -> tuple[Samples, tuple[str, ...]]:
    paths = [path for _, files, _ in found for path in files]
    notes = _passed_over(root, found, kind)
    if not paths:
        raise UserError(
            f"{root}: there are no {kind.word} in its {where}",
            notes[0] if notes else f"{kind.word} are files that end in {', '.join(kind.endings)}",
        )

    def read(ids: NDArray[np.int64]) -> Iterator[str]:
        return (str(paths[each]) for each in ids)

    def name_of(sample: int) -> str:
        return shown((Path(root.name) / paths[sample].relative_to(root)).as_posix())

    return Samples(np.array(labels, np.int64), read, name_of, sum(map(_size, paths))), notes


def _passed_over(root: Path, found: Sequence[_Found], kind: Kind) -> tuple[str, ...]:
    """A sentence for each ending of files that are not read here: how many of each class's."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    first: dict[str, Path] = {}
    for name, _, others in found:
        for path in others:
            ending = path.suffix.lower()
            counts[ending][name] += 1
            first.setdefault(ending, path)
    totals = {name: len(files) + len(others) for name, files, others in found}
    most = sorted(
        counts, key=lambda ending: (ending not in kind.endings, -sum(counts[ending].values()))
    )
    notes = [
        f"{root}: {_shares(counts[ending], totals)} are {shown(ending) or 'without an ending'}, "
        f"passed over: {kind.why_not(ending)}; "
        f"first {shown(first[ending].relative_to(root).as_posix())}"
        for ending in most[:NAMED]
    ]
    rest = sum(sum(counts[ending].values()) for ending in most[NAMED:])
    if rest:
        more = ", ".join(shown(ending) for ending in most[NAMED : 2 * NAMED])
        notes.append(f"{root}: {rest} more files are passed over: {more} and the like")
    return tuple(notes)


def _shares(counts: dict[str, int], totals: dict[str, int]) -> str:
    """The classes that lose the largest share of their files, in words."""
    worst = sorted(counts, key=lambda name: -counts[name] / totals[name])
    told = ", ".join(
        f"{f'class {shown(name)}: ' if name else ''}{counts[name]} of {totals[name]} files"
        for name in worst[:NAMED]
    )
    left = worst[NAMED:]
    more = f" and {sum(counts[name] for name in left)} files of {len(left)} more classes"
    return told + (more if left else "")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nowhere, or in a circle
        return 0


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")
