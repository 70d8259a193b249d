"""What every source answers: class names, labels, and images in order."""

from __future__ import annotations

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

Labels = NDArray[np.int64]
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


def whole_labels(values: Any, where: str) -> Labels:
    """Labels as int64 (samples,). Raises UserError: they are not whole numbers."""
    labels = np.asarray(values)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise UserError(
            f"{where}: labels are {labels.dtype} of shape {labels.shape}; whole numbers, "
            "one for each image, are meant",
            "number the classes from 0",
        )
    return labels.astype(np.int64)


def class_names(given: Sequence[str] | None, train: Labels) -> tuple[str, ...]:
    """The names given, or else the numbers that occur in `train`, from 0."""
    if given is not None:
        return tuple(given)
    return tuple(str(label) for label in range(int(train.max(initial=-1)) + 1))


def check_labels(samples: Samples, classes: Sequence[str]) -> None:
    """Raises UserError: a label outside the class list."""
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

    Raises UserError: a name that is not among `classes`.
    """
    if tuple(names) == tuple(classes):
        return samples
    for name in names:
        if name not in classes:
            raise UserError(
                f"{where}: class `{name}` is not one of the model's {len(classes)} classes",
                nearest(name, list(classes)),
            )
    number = np.array([list(classes).index(name) for name in names], np.int64)
    return Samples(number[samples.labels], samples.read, samples.name, samples.encoded_bytes)
