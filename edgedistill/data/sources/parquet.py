"""Parquet in Hugging Face's layout: an image column (bytes, path) and a label: an integer, a
number, or a list of numbers.

The class names lie in the schema's `huggingface` metadata, as the `datasets` library writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.base import (
    Labels,
    Samples,
    Source,
    checked_names,
    class_names,
    existing,
    read_labels,
    require,
    shown,
)
from edgedistill.errors import UserError, in_short, nearest, reading
from edgedistill.files import check_regular
from edgedistill.recipe import ParquetData

BATCH = 256
NAME_THEM = "give `data.classes`, in label order"


def open_source(data: ParquetData) -> Source:
    """The two files, or folders of files. Raises UserError: a column is missing or of another kind,
    or the two know other class names."""
    named = data.classes is not None
    train, names = samples(data.train, data.image, data.label, named)
    test = None
    if data.test is not None:
        test, test_names = samples(data.test, data.image, data.label, named)
        if test_names != names:
            raise UserError(
                f"{data.test}: its class names are not those of {data.train}", NAME_THEM
            )
    classes = class_names(names if data.classes is None else data.classes, train.labels)
    return Source(classes, train, test, data.test_share)


class Table:
    """A parquet file, or a folder of them, opened. Raises UserError: it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = _files(path)
        self.opened = [open_parquet(file) for file in self.files]
        self.starts = np.cumsum([0, *(each.metadata.num_rows for each in self.opened)])
        self.bytes = sum(file.stat().st_size for file in self.files)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def columns(self) -> list[str]:
        """Of the first file."""
        return list(self.opened[0].schema_arrow.names)

    def name_of(self, sample: int) -> str:
        """The file's name and the row in it."""
        file = int(np.searchsorted(self.starts, sample, side="right")) - 1
        return f"{shown(self.files[file].name)} row {sample - self.starts[file]}"

    def payloads(self, column: str, ids: NDArray[np.int64]) -> Iterator[bytes | None]:
        """The encoded files in ascending rows of a column."""
        for start, end, file, each in zip(
            self.starts, self.starts[1:], self.files, self.opened, strict=False
        ):
            inside = ids[(ids >= start) & (ids < end)] - start
            yield from _payloads(each, column, inside, file)

    def values(self, column: str) -> list[Any]:
        """All of a column that is not large. Raises UserError: a file lacks it."""
        found: list[Any] = []
        for file, each in zip(self.files, self.opened, strict=True):
            check_column(each, column, file)
            with parquet_reading(f"{file}: column `{column}`"):
                found += each.read(columns=[column]).column(column).to_pylist()
        return found


def samples(
    path: Path, image: str | None, label: str | None, named: bool = False
) -> tuple[Samples, tuple[str, ...] | None]:
    """A file's, or a folder of files', samples and class names. A column that is None is found
    by its type in the metadata or by its usual name.

    named: the classes have names from elsewhere; those in the file are not looked at.
    """
    table = Table(path)
    first, file = table.opened[0], table.files[0]
    features = {} if named and image and label else columns_described(first, file)
    image = image or usual(first, features, "Image", ("img", "image"), file)
    label = label or usual(first, features, "ClassLabel", ("label", "labels"), file)
    labels = table_labels(table, image, label, "image")
    column = image
    names = None if named else names_described(features, label, file)
    return Samples(
        labels, lambda ids: table.payloads(column, ids), table.name_of, table.bytes
    ), names


def table_labels(table: Table, payload: str, label: str, word: str) -> Labels:
    """The labels' column, and a look at that of the samples themselves, such as `image`. Raises
    UserError: there are none."""
    parts = []
    for file, each in zip(table.files, table.opened, strict=True):
        check_payload(each, payload, word, file)
        check_column(each, label, file)
        parts.append(_labels(each, label, file))
    labels = np.concatenate(parts)
    if not len(labels):
        raise UserError(f"{table.path}: holds no rows", f"give {word}s and their labels")
    return labels


def _files(path: Path) -> list[Path]:
    if existing(path, "parquet file").is_file():
        return [path]
    files = sorted(path.glob("*.parquet"))
    if not files:
        raise UserError(
            f"{path}: there are no .parquet files in this folder", "check the path in `data`"
        )
    return files


@contextmanager
def parquet_reading(what: str) -> Iterator[None]:
    """Around all that pyarrow does with a file: some of what is wrong with it shows only when its
    pages are read. Raises UserError: `what` cannot be read."""
    arrow = require("pyarrow", "pyarrow", "reading parquet")
    hint = "a parquet file is meant, as pyarrow or pandas write it; if it was copied, copy it again"
    try:
        with reading(what, hint):
            yield
    except arrow.ArrowMemoryError as error:  # most likely for a size that the file only claims
        raise UserError(f"{what}: cannot be read: {in_short(error)}", hint) from error


def open_parquet(file: Path) -> Any:
    """A `pyarrow.parquet.ParquetFile` whose schema can be read. Raises UserError."""
    parquet = require("pyarrow.parquet", "pyarrow", "reading parquet")
    check_regular(file, "parquet file")
    with parquet_reading(str(file)):
        opened = parquet.ParquetFile(file, page_checksum_verification=True)
        opened.schema_arrow.names  # noqa: B018  (text that is none is told here)
        groups = range(opened.num_row_groups)
        held = sum(opened.metadata.row_group(each).num_rows for each in groups)
        if held != opened.metadata.num_rows:
            raise ValueError(f"{opened.metadata.num_rows} rows, of which {held} are there")
    return opened


def columns_described(file: Any, path: Path) -> dict[str, Any]:
    """Hugging Face's description of the columns, or nothing where there is none."""
    told = (file.schema_arrow.metadata or {}).get(b"huggingface")
    if told is None:
        return {}
    try:
        features = json.loads(told)["info"]["features"]
        if not isinstance(features, dict):
            raise TypeError(f"the columns are a {type(features).__name__}")
    except KeyError:
        return {}
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: its metadata `huggingface` cannot be read: {in_short(error)}",
            f"{NAME_THEM}, or write the file again",
        ) from None
    return features


def names_described(features: dict[str, Any], label: str, path: Path) -> tuple[str, ...] | None:
    """Those of the label's column; None where it is described without."""
    feature = features.get(label, {})
    if isinstance(feature, list) and all(isinstance(each, dict) for each in feature):
        return None  # a list of values for each image
    if not isinstance(feature, dict):
        raise UserError(
            f"{path}: its metadata `huggingface` describes column `{label}` by "
            f"{type(feature).__name__}",
            f"{NAME_THEM}, or write the file again",
        )
    names = feature.get("names")
    if names is None:
        return None
    return checked_names(names, f"{path}: metadata `huggingface`") or None


def usual(
    file: Any, features: dict[str, Any], kind: str, names: tuple[str, ...], path: Path
) -> str:
    """The column of that type in the metadata, or of one of the usual `names`. Raises UserError:
    there is none."""
    typed = [
        name
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == kind
    ]
    for name in (*typed, *names):
        if name in file.schema_arrow.names:
            return name
    found = ", ".join(file.schema_arrow.names)
    raise UserError(
        f"{path}: has no column `{names[0]}` (its columns: {found})", f"name it `{names[0]}`"
    )


def holds_files(kind: Any) -> bool:
    """Whether a column of this Arrow type may hold encoded files: bytes, or a struct with them.
    Text would be taken for files' names."""
    import pyarrow

    types = pyarrow.types
    if types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and holds_files(kind.field(at).type)
    if types.is_dictionary(kind):
        return holds_files(kind.value_type)
    return any(
        check(kind)
        for check in (types.is_binary, types.is_large_binary, types.is_fixed_size_binary,
                      types.is_binary_view, types.is_null)
    )  # fmt: skip


def check_column(file: Any, name: str, path: Path) -> None:
    """Raises UserError: there is no column `name` in the file, or two."""
    names = file.schema_arrow.names
    if name not in names:
        raise UserError(f"{path}: has no column `{name}`", nearest(name, names))
    if names.count(name) > 1:
        raise UserError(f"{path}: has two columns `{name}`", "name each column differently")


def check_payload(file: Any, name: str, word: str, path: Path) -> None:
    """Raises UserError: column `name` holds no encoded files of what `word` says."""
    check_column(file, name, path)
    kind = file.schema_arrow.field(name).type
    if not holds_files(kind):
        raise UserError(
            f"{path}: column `{name}` holds {kind!s:.200}, no {word}s",
            f"bytes of encoded {word}s are meant, or a struct with a field `bytes`; "
            f"`data.{WORDS[word]}` names the column",
        )


WORDS = {"image": "image", "recording": "audio"}
"""The field of a recipe's `data` that names the column."""


def _labels(file: Any, column: str, path: Path) -> Labels:
    with parquet_reading(f"{path}: column `{column}`"):
        values = file.read(columns=[column]).column(column)
        if values.null_count:
            raise UserError(
                f"{path}: column `{column}` has {values.null_count} empty labels",
                "give each image a label, or leave it out",
            )
        labels = read_labels(values.to_numpy(), f"{path}: column `{column}`")
        if len(labels) != file.metadata.num_rows:
            raise ValueError(f"{len(labels)} values in {file.metadata.num_rows} rows")
    return labels


def _payloads(
    file: Any, column: str, rows: NDArray[np.int64], path: Path
) -> Iterator[bytes | None]:
    """The encoded files of ascending `rows`; row groups without any are not read."""
    sizes = [file.metadata.row_group(each).num_rows for each in range(file.num_row_groups)]
    starts = np.cumsum([0, *sizes])
    given = 0
    with parquet_reading(f"{path}: column `{column}`"):
        for group in np.unique(np.searchsorted(starts, rows, side="right") - 1):
            at = int(starts[group])
            for batch in file.iter_batches(BATCH, row_groups=[int(group)], columns=[column]):
                inside = rows[(rows >= at) & (rows < at + batch.num_rows)] - at
                at += batch.num_rows
                for value in batch.column(column).take(inside).to_pylist():
                    given += 1
                    yield value.get("bytes") if isinstance(value, dict) else value
        if given != len(rows):
            raise ValueError("holds fewer rows than it says")
