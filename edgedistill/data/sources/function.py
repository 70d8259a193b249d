"""A user's own `module:function`, called with "train" or "test"; yields (image, label)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.base import Samples, Source, class_names, read_labels
from edgedistill.errors import UserError
from edgedistill.recipe import FunctionData
from edgedistill.usercode import load_function, running

Function = Callable[[str], Iterable[tuple[Any, Any]]]


def open_source(data: FunctionData) -> Source:
    """What the function yields for each split. Raises UserError: it is not there, fails, or yields
    something else."""
    function = load_function(data.function, "data.function")
    given = _image if data.arrays is None else _as_given
    train, test = (_samples(function, data.function, split, given) for split in ("train", "test"))
    return Source(class_names(data.classes, train.labels), train, test)


def _samples(
    function: Function, name: str, split: str, given: Callable[[Any, str], Any]
) -> Samples:
    """Called once for the labels and once for the images: neither has to fit in memory."""
    values = [label for _, label in _pairs(function, name, split)]
    with _running(name, split):  # labels may be objects of the user's own
        labels = read_labels(values, f"{name} ({split})")
    if not len(labels):
        raise UserError(f'{name}("{split}") gave no samples', "yield (image, label) pairs")

    def read(ids: NDArray[np.int64]) -> Iterator[Any]:
        wanted = set(ids.tolist())
        again = itertools.zip_longest(_pairs(function, name, split), labels)
        for sample, (pair, label) in enumerate(again):
            if pair is None or label is None or not _same(pair[1], label, name, split):
                raise UserError(
                    f'{name}("{split}") gave other samples the second time it was called',
                    "seed whatever is random in it",
                )
            if sample in wanted:
                yield given(pair[0], f'{name}("{split}"): sample {sample}')

    return Samples(labels, read, lambda each: f"{split} sample {each}")


def _same(given: Any, label: Any, name: str, split: str) -> bool:
    with _running(name, split):
        try:
            return np.array_equal(np.ravel(given).astype(label.dtype), np.ravel(label))
        except (TypeError, ValueError):  # no numbers this time
            return False


def _as_given(given: Any, where: str) -> Any:
    """Arrays are looked at where they are stored."""
    return given


def _image(given: Any, where: str) -> Any:
    """Raises UserError: nothing that could be decoded. Worker processes may not even take it."""
    from PIL import Image

    pixels = isinstance(given, np.ndarray) and not given.dtype.hasobject
    if pixels or given is None or isinstance(given, bytes | str | os.PathLike | Image.Image):
        return given
    kind = "an array of objects" if isinstance(given, np.ndarray) else type(given).__name__
    raise UserError(
        f"{where} has {kind} for an image",
        "give uint8 (height, width[, channels]), or a Pillow image",
    )


def _pairs(function: Function, name: str, split: str) -> Iterator[tuple[Any, Any]]:
    for number, pair in enumerate(_given(function, name, split)):
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise UserError(
                f'{name}("{split}"): sample {number} is {type(pair).__name__}, '
                "not a pair (image, label)",
                "yield (image, label) pairs",
            )
        yield pair


def _given(function: Function, name: str, split: str) -> Iterator[Any]:
    """What the function gives, each step of it guarded."""
    with _running(name, split):
        given = function(split)
    if not (hasattr(given, "__iter__") or hasattr(given, "__getitem__")):
        raise UserError(
            f'data.function: {name}("{split}") gave {type(given).__name__}, nothing to go through',
            "yield (image, label) pairs, or return a list of them",
        )
    with _running(name, split):
        samples = iter(given)
    end = object()
    while True:
        with _running(name, split):
            sample = next(samples, end)
        if sample is end:
            return
        yield sample


def _running(name: str, split: str) -> AbstractContextManager[None]:
    return running(f'{name}("{split}")', "data.function", "mend the function")
