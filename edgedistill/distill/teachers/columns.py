"""Columns of a parquet file of answers as arrays, and what is wrong with one in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.distill.teachers import (
    Floats,
    Ids,
)
from edgedistill.errors import UserError, nearest

SHOWN = 5


def lists(column: Any, name: str, path: Path) -> tuple[Any, Ids]:
    """A column's lists, one after another, and their lengths."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if not any(f(kind) for f in (pa.types.is_list, pa.types.is_large_list,
                                 pa.types.is_fixed_size_list)):  # fmt: skip
        raise UserError(f"{path}: `{name}` holds {kind}", "a list for each sample is meant")
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return pc.list_flatten(column), lengths.to_numpy().astype(np.int64)


def floats(column: Any, name: str, path: Path) -> Floats:
    """A column of numbers, (rows,), float32. Raises UserError: it holds something else."""
    import pyarrow as pa

    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise UserError(f"{path}: `{name}` holds {column.type}", "numbers are meant")
    with np.errstate(over="ignore"):  # infinity is told of
        values: Floats = column.to_numpy(zero_copy_only=False).astype(np.float32)
    return values


def whole(column: Any, name: str, path: Path) -> Ids:
    """A column of whole numbers, (rows,), int64. Raises UserError: it holds something else."""
    import pyarrow as pa

    if not pa.types.is_integer(column.type) or column.null_count:
        nulls = " with nulls" if column.null_count else ""
        raise UserError(f"{path}: `{name}` holds {column.type}{nulls}", "whole numbers are meant")
    found = column.to_numpy()
    if len(found) and found.max() > np.iinfo(np.int64).max:
        raise UserError(
            f"{path}: `{name}` holds {found.max()}, too large a number", "number them from 0"
        )
    numbers: Ids = found.astype(np.int64)
    return numbers


def class_numbers(column: Any, classes: Sequence[str], name: str, path: Path) -> Ids:
    """(rows,): classes by number of a column of numbers or of names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        found = pc.index_in(column, value_set=pa.array(classes, column.type))
        if found.null_count:
            unknown = str(column.filter(found.is_null())[0])
            raise UserError(
                f"{path}: `{unknown}` in `{name}` is not one of the data's {len(classes)} classes",
                nearest(unknown, list(classes)),
            )
        return whole(found, name, path)
    numbers = whole(column, name, path)
    outside = numbers[(numbers < 0) | (numbers >= len(classes))]
    if len(outside):
        raise UserError(
            f"{path}: {outside[0]} in `{name}` is outside the {len(classes)} classes "
            f"(0..{len(classes) - 1})",
            "classes are numbered in the data's order, from 0",
        )
    return numbers


def refuse(bad: Any, samples: Ids, name: str, path: Path) -> None:
    """Raises UserError: a sample's answer is `bad`, (samples,) of bool."""
    if bad.any():
        raise UserError(
            f"{path}: `{name}` are not {'finite' if name == 'logits' else name.replace('_', ' ')} "
            f"for {in_words(samples[bad])}",
            "compute these answers again",
        )


def in_brief(classes: Sequence[Any]) -> str:
    """How many classes, and the first few of them."""
    first = ", ".join(map(str, classes[:SHOWN])) + (", ..." if len(classes) > SHOWN else "")
    return f"{len(classes)} classes ({first})"


def in_words(samples: Ids) -> str:
    """`samples 3, 8, 9`, the first few of the samples (n,)."""
    first = ", ".join(map(str, samples[:SHOWN])) + (", ..." if len(samples) > SHOWN else "")
    return f"sample{'s' if len(samples) > 1 else ''} {first}"
