"""What every source answers: class names, labels, and images in order."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import UserError, nearest

if TYPE_CHECKING:
    from edgedistill.data.decode import Payload

Labels = NDArray[Any]
ONE_OF_MANY = ("classification", "retrieval")
"""Tasks whose labels are classes; in a retrieval a class stands for its caption."""
UNLABELLED = -1
"""The label of an image whose class nobody knows."""


@dataclass(frozen=True)
class Samples:
    """One split as its source has it: labels at once, images as they are asked for."""

    labels: Labels
    """(samples,)"""
    read: Callable[[NDArray[np.int64]], Iterator[Payload]]
    """The images of ascending sample numbers."""
    name: Callable[[int], str]
    """What a person finds a sample by."""
    encoded_bytes: int = 0
    """About how much there is to decode."""


@dataclass(frozen=True)
class Source:
    classes: tuple[str, ...]
    train: Samples
    test: Samples | None = None
    test_share: float = 0.0
    """Share of `train` that becomes the test set where `test` is None."""
    notes: tuple[str, ...] = ()
    """What the user should know about what was found."""
    unlabelled: Samples | None = None
    """Further training images."""


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
    if not path.exists():
        raise UserError(f"{what} not found: {path}", "check the path in `data`")
    return path


def read_labels(values: Any, where: str) -> Labels:
    """Whole numbers, one a sample, as int64 (samples,); any others as float32 (samples, values).

    Raises UserError: they are neither, or not as many for each sample.
    """
    try:
        labels = np.asarray(values)
        if labels.dtype.kind == "O":
            labels = np.stack([np.asarray(each) for each in labels])
    except ValueError as error:
        raise UserError(
            f"{where}: not as many labels for each image ({error})",
            "give a number, or equally long lists of numbers",
        ) from None
    if not labels.size or (labels.dtype.kind in "iu" and labels.ndim == 1):
        return labels.astype(np.int64)
    if labels.dtype.kind not in "biuf" or labels.ndim > 2:
        raise UserError(
            f"{where}: labels are {labels.dtype} of shape {labels.shape}",
            "give a whole number for each image, or numbers, as many for each",
        )
    return labels.astype(np.float32).reshape(len(labels), -1)


def class_names(given: Sequence[str] | None, train: Labels) -> tuple[str, ...]:
    """The names given, or else the numbers that occur in `train`, from 0; of labels that are
    lists, their places."""
    if given is not None:
        return tuple(given)
    count = train.shape[1] if train.ndim == 2 else int(train.max(initial=-1)) + 1
    return tuple(str(number) for number in range(count))


def for_task(samples: Samples, task: str) -> Samples:
    """The samples, labels as the task has them (see `data.splits.Split`).

    Raises UserError: labels of another kind.
    """
    labels = samples.labels
    if task not in ONE_OF_MANY:
        values = labels.astype(np.float32).reshape(len(labels), -1)
        return dataclasses.replace(samples, labels=values)
    if labels.ndim == 1:
        return samples
    raise UserError(
        f"{samples.name(0)}: its label is {labels[0].tolist()}; a class, as a whole number, is "
        "meant",
        "number the classes from 0; or say `task: multilabel` or `task: regression`",
    )


def check_labels(samples: Samples, classes: Sequence[str], task: str = "classification") -> None:
    """Raises UserError: a label outside the class list, or not as many values as names."""
    labels = samples.labels
    if task in ONE_OF_MANY:
        _check_classes(samples, classes)
        return
    if labels.shape[1] != len(classes):
        raise UserError(
            f"{samples.name(0)}: {labels.shape[1]} values for the {len(classes)} names in "
            "`data.classes`",
            "give a name for each value",
        )
    wrong = ~np.isfinite(labels) if task == "regression" else (labels != 0) & (labels != 1)
    if wrong.any():
        first = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise UserError(
            f"{samples.name(first)}: label {labels[first].tolist()}; {int(wrong.any(1).sum())} "
            "such in all",
            "give numbers" if task == "regression" else "give 0 or 1 for each class",
        )


def _check_classes(samples: Samples, classes: Sequence[str]) -> None:
    outside = np.flatnonzero((samples.labels < 0) | (samples.labels >= len(classes)))
    if len(outside):
        first = int(outside[0])
        raise UserError(
            f"{samples.name(first)}: label {samples.labels[first]} is outside the "
            f"{len(classes)} classes (0..{len(classes) - 1}); {len(outside)} such in all",
            "mend the labels, or list every class in `data.classes`",
        )


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
