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
    test, test_names = samples(data.test, data.image, data.label, named)
    if test_names != names:
        raise UserError(f"{data.test}: its class names are not those of {data.train}", NAME_THEM)
    return Source(
        class_names(names if data.classes is None else data.classes, train.labels), train, test
    )


def samples(
    path: Path, image: str | None, label: str | None, named: bool = False
) -> tuple[Samples, tuple[str, ...] | None]:
    """A file's, or a folder of files', samples and class names. A column that is None is found
    by its type in the metadata or by its usual name.

    named: the classes have names from elsewhere; those in the file are not looked at.
    """
    files = _files(path)
    opened = [open_parquet(file) for file in files]
    features = {} if named and image and label else _features(opened[0], files[0])
    image = image or _usual(opened[0], features, "Image", ("img", "image"), files[0])
    label = label or _usual(opened[0], features, "ClassLabel", ("label", "labels"), files[0])
    labels = np.concatenate(
        [_labels(each, image, label, file) for file, each in zip(files, opened, strict=True)]
    )
    if not len(labels):
        raise UserError(f"{path}: holds no rows", "give images and their labels")
    starts = np.cumsum([0, *(each.metadata.num_rows for each in opened)])

    def name_of(sample: int) -> str:
        file = int(np.searchsorted(starts, sample, side="right")) - 1
        return f"{shown(files[file].name)} row {sample - starts[file]}"

    def read(ids: NDArray[np.int64]) -> Iterator[bytes | None]:
        for start, end, file, each in zip(starts, starts[1:], files, opened, strict=False):
            inside = ids[(ids >= start) & (ids < end)] - start
            yield from _images(each, image, inside, file)

    size = sum(file.stat().st_size for file in files)
    names = None if named else _names(features, label, files[0])
    return Samples(labels, read, name_of, size), names


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


def _features(file: Any, path: Path) -> dict[str, Any]:
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


def _names(features: dict[str, Any], label: str, path: Path) -> tuple[str, ...] | None:
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


def _usual(
    file: Any, features: dict[str, Any], kind: str, usual: tuple[str, ...], path: Path
) -> str:
    typed = [
        name
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == kind
    ]
    for name in (*typed, *usual):
        if name in file.schema_arrow.names:
            return name
    found = ", ".join(file.schema_arrow.names)
    raise UserError(
        f"{path}: has no column `{usual[0]}` (its columns: {found})", f"name it `{usual[0]}`"
    )


def holds_images(kind: Any) -> bool:
    """Whether a column of this Arrow type may hold encoded images: bytes, or a struct with them.
    Text would be taken for files' names."""
    import pyarrow

    types = pyarrow.types
    if types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and holds_images(kind.field(at).type)
    if types.is_dictionary(kind):
        return holds_images(kind.value_type)
    return any(
        check(kind)
        for check in (types.is_binary, types.is_large_binary, types.is_fixed_size_binary,
                      types.is_binary_view, types.is_null)
    )  # fmt: skip


def _check_columns(file: Any, image: str, label: str, path: Path) -> None:
    names = file.schema_arrow.names
    for name in (image, label):
        if name not in names:
            raise UserError(f"{path}: has no column `{name}`", nearest(name, names))
        if names.count(name) > 1:
            raise UserError(f"{path}: has two columns `{name}`", "name each column differently")
    kind = file.schema_arrow.field(image).type
    if not holds_images(kind):
        raise UserError(
            f"{path}: column `{image}` holds {kind!s:.200}, no images",
            "bytes of encoded images are meant, or a struct with a field `bytes`; "
            "`data.image` names the column",
        )


def _labels(file: Any, image: str, column: str, path: Path) -> Labels:
    _check_columns(file, image, column, path)
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


def _images(file: Any, column: str, rows: NDArray[np.int64], path: Path) -> Iterator[bytes | None]:
    """The encoded images of ascending `rows`; row groups without any are not read."""
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
