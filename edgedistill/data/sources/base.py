"""What every source answers: class names, labels, and images in order."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import UserError, nearest
from edgedistill.files import check_regular
from edgedistill.tasks import TASKS

if TYPE_CHECKING:
    pass

Labels = NDArray[Any]
UNLABELLED = -1
"""The label of an image whose class nobody knows."""

MOST_CLASSES = 1_000_000
"""A larger label is taken for no class: names and counts of all below it would fill the memory."""


@dataclass(frozen=True)
class Samples:
    """One split as its source has it: labels at once, images as they are asked for."""

    labels: Labels
    """(samples,)"""
    read: Callable[[NDArray[np.int64]], Iterator[Any]]
    """The images of ascending sample numbers, as `decode` takes them; or their arrays, as
    `writing.as_arrays` does."""
    name: Callable[[int], str]
    """What a person finds a sample by."""
    encoded_bytes: int = 0
    """About how much there is to decode."""
    speakers: tuple[str | None, ...] | None = None
    """Of recordings, who speaks in each; None where the source does not say."""
    texts: tuple[str | None, ...] | None = None
    """Of recordings, what is said in each: empty where that is nothing, None where nobody knows;
    None where the source has no transcripts."""


@dataclass(frozen=True)
class Source:
    """A data set as its source has it."""

    classes: tuple[str, ...]
    train: Samples
    test: Samples | None = None
    test_share: float = 0.0
    """Share of `train` that becomes the test set where `test` is None."""
    notes: tuple[str, ...] = ()
    """What the user should know about what was found."""
    unlabelled: Samples | None = None
    """Further training samples."""
    negatives: Samples | None = None
    """Recordings without any keyword."""
    noise: Samples | None = None
    """Recordings without speech."""


def require(module: str, package: str, purpose: str) -> ModuleType:
    """Import an optional module. Raises UserError that names the package to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise UserError(
            f"{purpose} needs the package `{package}`, which is not installed",
            f"pip install {package}",
        ) from None


def existing(path: Path, what: str) -> Path:
    """`path`, if it is a regular file or a folder. Raises UserError."""
    if not is_folder(path):
        check_regular(path, what, "check the path in `data`")
    return path


def existing_folder(path: Path, meant: str) -> Path:
    """`path`, if it is a folder. Raises UserError."""
    if not is_folder(existing(path, "folder")):
        raise UserError(f"{path}: is a file; {meant} is meant", "check the path in `data`")
    return path


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a path that the system refuses to look up is none."""
    try:
        return path.is_dir()
    except OSError:  # too long a name, say
        return False


def shown(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 as escapes, which any file can hold."""
    return os.fsencode(name).decode(errors="backslashreplace")


def read_labels(values: Any, where: str) -> Labels:
    """Whole numbers, one a sample, as int64 (samples,); any others as float32 (samples, values).

    Raises UserError: they are neither, or not as many for each sample.
    """
    try:
        labels = np.asarray(values)
        if labels.dtype.kind == "O" and labels.ndim == 1 and len(labels):
            labels = np.stack([np.asarray(each) for each in labels])
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{where}: not as many labels for each image ({error})",
            "give a number, or equally long lists of numbers",
        ) from None
    check_numbers(labels.dtype, labels.shape, where)
    if not len(labels):
        return np.empty(0, np.int64)
    if labels.dtype.kind in "iu" and labels.ndim == 1:
        if labels.max() > np.iinfo(np.int64).max:
            first = int(np.argmax(labels > np.iinfo(np.int64).max))
            raise UserError(
                f"{where}: label {labels[first]} of image {first} is too large a number",
                "number the classes from 0",
            )
        return labels.astype(np.int64)
    with np.errstate(over="ignore"):  # infinity is refused, or told of, by whoever reads it
        return labels.astype(np.float32).reshape(len(labels), -1)


def check_numbers(kind: np.dtype[Any], shape: tuple[int, ...], where: str) -> None:
    """Raises UserError: labels of this type and shape are not a number, or some, for each image."""
    empty = shape == (0,)  # of a list without anything in it, whatever its type
    if not empty and (kind.kind not in "biuf" or len(shape) not in (1, 2) or 0 in shape[1:]):
        raise UserError(
            f"{where}: labels are {kind} of shape {shape}",
            "give a whole number for each image, or numbers, as many for each",
        )


def class_names(
    given: Sequence[str] | None, train: Labels, where: str = "data.classes"
) -> tuple[str, ...]:
    """The names given, or else the numbers that occur in `train`, from 0; of labels that are
    lists, their places.

    where: what gives the names, for messages. Raises UserError: names that are none, or numbers
    past `MOST_CLASSES`.
    """
    if given is not None:
        return checked_names(given, where)
    count = train.shape[1] if train.ndim == 2 else int(train.max(initial=-1)) + 1
    if count > MOST_CLASSES:
        told = f"{count} numbers for an image" if train.ndim == 2 else f"label {count - 1}"
        raise UserError(
            f"data: {told}; at most {MOST_CLASSES} classes are read",
            "number the classes from 0, without gaps",
        )
    return tuple(str(number) for number in range(count))


def checked_names(given: Any, where: str) -> tuple[str, ...]:
    """Names of classes. Raises UserError: one is no text, empty, or there twice."""
    hint = "give each class a name of its own, in label order"
    if not isinstance(given, list | tuple):
        kind = type(given).__name__
        raise UserError(f"{where}: class names are given as {kind}, not as a list", hint)
    if len(given) > MOST_CLASSES:
        raise UserError(
            f"{where}: {len(given)} classes; at most {MOST_CLASSES} are read", "name fewer"
        )
    seen: set[str] = set()
    for at, name in enumerate(given):
        if not isinstance(name, str):
            told = f"the name of class {at} is a {type(name).__name__}, not text"
        elif not name.strip():
            told = f"the name of class {at} is empty"
        elif name in seen:
            told = f"two classes are named `{_escaped(name)}`"
        elif not _is_text(name):
            told = f"the name of class {at} is no UTF-8 text: `{_escaped(name)}`"
        else:
            seen.add(name)
            continue
        raise UserError(f"{where}: {told}", hint)
    return tuple(given)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, or a byte of a file's name
        return False
    return True


def _escaped(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


def for_task(samples: Samples, task: str) -> Samples:
    """The samples, labels as the task has them (see `tasks.labels`).

    Raises UserError: labels of another kind.
    """
    labels = TASKS[task].labels.convert(samples.labels, samples.name)
    return dataclasses.replace(samples, labels=labels)


def check_labels(samples: Samples, classes: Sequence[str], task: str = "classification") -> None:
    """Raises UserError: a label outside the class list, or not as many values as names."""
    TASKS[task].labels.check(samples.labels, classes, samples.name)


def to_classes(
    samples: Samples, names: Sequence[str], classes: Sequence[str], where: str
) -> Samples:
    """The same samples, numbered in the order of `classes` rather than of `names`.

    Raises UserError: a name that is not among `classes`, or of values, one that is missing.
    """
    if tuple(names) == tuple(classes):
        return samples
    if samples.labels.ndim == 2 and sorted(names) != sorted(classes):
        raise UserError(
            f"{where}: its values are {', '.join(names)}; the model's are {', '.join(classes)}",
            "give all of the model's, and no others",
        )
    for name in names:
        if name not in classes:
            raise UserError(
                f"{where}: class `{name}` is not one of the model's {len(classes)} classes",
                nearest(name, list(classes)),
            )
    labels = samples.labels
    if labels.ndim == 2:
        labels = labels[:, [list(names).index(name) for name in classes]]
    else:
        labels = np.array([list(classes).index(name) for name in names], np.int64)[labels]
    return dataclasses.replace(samples, labels=labels)
