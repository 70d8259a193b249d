"""Parquet in Hugging Face's layout: an image column (bytes, path) and a label: an integer, a
number, or a list of numbers.

The class names lie in the schema's `huggingface` metadata, as the `datasets` library writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.base import (
    Labels,
    Samples,
    Source,
    class_names,
    existing,
    read_labels,
    require,
)
from edgedistill.errors import UserError, nearest
from edgedistill.recipe import ParquetData

BATCH = 256


def open_source(data: ParquetData) -> Source:
    train, names = samples(data.train, data.image, data.label)
    test, test_names = samples(data.test, data.image, data.label)
    if data.classes is None and test_names != names:
        raise UserError(
            f"{data.test}: its class names are not those of {data.train}",
            "give `data.classes`, in label order",
        )
    return Source(class_names(data.classes or names, train.labels), train, test)


def samples(
    path: Path, image: str | None, label: str | None
) -> tuple[Samples, tuple[str, ...] | None]:
    """A file's, or a folder of files', samples and class names. A column that is None is found
    by its type in the metadata or by its usual name."""
    files = _files(path)
    opened = [_open(file) for file in files]
    features = _features(opened[0])
    image = image or _usual(opened[0], features, "Image", ("img", "image"), files[0])
    label = label or _usual(opened[0], features, "ClassLabel", ("label", "labels"), files[0])
    for file, name in zip(files, opened, strict=True):
        _check_columns(name, (image, label), file)
    labels = np.concatenate(
        [_labels(each, label, file) for file, each in zip(files, opened, strict=True)]
    )
    starts = np.cumsum([0, *(each.metadata.num_rows for each in opened)])

    def name_of(sample: int) -> str:
        file = int(np.searchsorted(starts, sample, side="right")) - 1
        return f"{files[file].name} row {sample - starts[file]}"

    def read(ids: NDArray[np.int64]) -> Iterator[bytes | None]:
        for start, end, each in zip(starts, starts[1:], opened, strict=False):
            inside = ids[(ids >= start) & (ids < end)] - start
            yield from _images(each, image, inside)

    names = features.get(label, {}).get("names")
    size = sum(file.stat().st_size for file in files)
    return Samples(labels, read, name_of, size), tuple(names) if names else None


def _files(path: Path) -> list[Path]:
    if existing(path, "parquet file").is_file():
        return [path]
    files = sorted(path.glob("*.parquet"))
    if not files:
        raise UserError(f"{path}: there are no .parquet files in this folder")
    return files


def _open(file: Path) -> Any:
    parquet = require("pyarrow.parquet", "pyarrow", "reading parquet")
    arrow = require("pyarrow", "pyarrow", "reading parquet")
    try:
        return parquet.ParquetFile(file)
    except arrow.ArrowInvalid as error:
        raise UserError(f"{file}: not a parquet file: {error}") from None


def _features(file: Any) -> dict[str, Any]:
    """Hugging Face's description of the columns, or nothing."""
    metadata = file.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return features if isinstance(features, dict) else {}


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
    raise UserError(f"{path}: has no column `{usual[0]}` (its columns: {found})")


def _check_columns(file: Any, wanted: tuple[str, ...], path: Path) -> None:
    names = file.schema_arrow.names
    for name in wanted:
        if name not in names:
            raise UserError(f"{path}: has no column `{name}`", nearest(name, names))


def _labels(file: Any, column: str, path: Path) -> Labels:
    values = file.read(columns=[column]).column(0)
    if values.null_count:
        raise UserError(f"{path}: column `{column}` has {values.null_count} empty labels")
    return read_labels(values.to_numpy(), f"{path}: column `{column}`")


def _images(file: Any, column: str, rows: NDArray[np.int64]) -> Iterator[bytes | None]:
    """The encoded images of ascending `rows`; row groups without any are not read."""
    sizes = [file.metadata.row_group(each).num_rows for each in range(file.num_row_groups)]
    starts = np.cumsum([0, *sizes])
    for group in np.unique(np.searchsorted(starts, rows, side="right") - 1):
        at = int(starts[group])
        for batch in file.iter_batches(BATCH, row_groups=[int(group)], columns=[column]):
            inside = rows[(rows >= at) & (rows < at + batch.num_rows)] - at
            at += batch.num_rows
            for value in batch.column(0).take(inside).to_pylist():
                yield value.get("bytes") if isinstance(value, dict) else value
