"""A user's own `module:function`, called with "train" or "test"; yields (image, label)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.base import Samples, Source, read_labels
from edgedistill.errors import UserError
from edgedistill.recipe import FunctionData
from edgedistill.usercode import load_function

Function = Callable[[str], Iterable[tuple[Any, Any]]]


def open_source(data: FunctionData) -> Source:
    function = load_function(data.function, "data.function")
    train, test = (_samples(function, data.function, split) for split in ("train", "test"))
    return Source(data.classes, train, test)


def _samples(function: Function, name: str, split: str) -> Samples:
    """Called once for the labels and once for the images: neither has to fit in memory."""
    values = [label for _, label in _pairs(function, name, split)]
    labels = read_labels(values, f"{name} ({split})")
    if not len(labels):
        raise UserError(f'{name}("{split}") gave no samples')

    def read(ids: NDArray[np.int64]) -> Iterator[Any]:
        wanted = set(ids.tolist())
        again = itertools.zip_longest(_pairs(function, name, split), labels)
        for sample, (pair, label) in enumerate(again):
            if (
                pair is None
                or label is None
                or not np.array_equal(np.ravel(pair[1]).astype(labels.dtype), np.ravel(label))
            ):
                raise UserError(
                    f'{name}("{split}") gave other samples the second time it was called',
                    "seed whatever is random in it",
                )
            if sample in wanted:
                yield pair[0]

    return Samples(labels, read, lambda each: f"{split} sample {each}")


def _pairs(function: Function, name: str, split: str) -> Iterator[tuple[Any, Any]]:
    samples = iter(function(split))
    number = 0
    while True:
        try:
            pair = next(samples)
        except StopIteration:
            return
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise UserError(
                f'{name}("{split}"): sample {number} is {type(pair).__name__}, '
                "not a pair (image, label)"
            )
        yield pair
        number += 1
