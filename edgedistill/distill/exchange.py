"""A teacher's answers as parquet, for any tool and for a teacher of the family `stored`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.artifact import Artifact
from edgedistill.data import open_split
from edgedistill.data.sources.base import require
from edgedistill.distill.store import Answers, open_answers
from edgedistill.records import DataRecord

Array = np.ndarray[Any, Any]
_ROWS = 16_384


def write_parquet(teach: Artifact, data: Artifact, path: Path) -> int:
    """Write the answers of a stage `teach` to `path`, whole or not at all; returns their number.

    They are those to the training images in each view, and to the validation images as they are.
    Columns: `sample`, the image's number in the user's training data; `view`; `label`, -1 where
    it is unknown, or a list of values, NaN where they are; `logits`, or `classes` and
    `log_probabilities` where only the likeliest were kept. The class names are in the schema's
    metadata under `classes`.
    """
    arrow = require("pyarrow", "pyarrow", "writing parquet")
    parquet = require("pyarrow.parquet", "pyarrow", "writing parquet")
    import json

    answers, labelled = open_answers(teach.path), open_split(data.path, "train").labels
    written = 0
    classes = DataRecord.read(data).classes
    fields = {"sample": arrow.int64(), "view": arrow.int32(), "label": arrow.int64()}
    if labelled.ndim == 2:
        fields["label"] = arrow.list_(arrow.float32(), labelled.shape[1])
    for name in answers.records.dtype.names or ():
        if name in ("logits", "classes", "log_probabilities"):
            number = answers.records.dtype[name]
            fields[name] = arrow.list_(arrow.from_numpy_dtype(number.base), number.shape[0])
    schema = arrow.schema(fields, metadata={"classes": json.dumps(classes)})
    part = path.with_name(path.name + ".part")
    with parquet.ParquetWriter(part, schema) as writer:
        for view, samples, labels, records in _parts(answers, teach, data):
            columns: dict[str, Array] = {
                "sample": samples,
                "view": np.full(len(records), view, np.int32),
                "label": labels,
            }
            values = [columns[name] if name in columns else records[name] for name in schema.names]
            arrays = [
                arrow.FixedSizeListArray.from_arrays(
                    arrow.array(np.ascontiguousarray(each).ravel()), each.shape[1]
                )
                if each.ndim == 2
                else arrow.array(each)
                for each in values
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            written += len(records)
    part.replace(path)
    return written


def _parts(
    answers: Answers, teach: Artifact, data: Artifact
) -> Iterator[tuple[int, Array, Array, Array]]:
    """(view, samples, labels, records), piece by piece."""
    split = open_split(data.path, "train")
    for view in range(answers.views):
        for start in range(0, len(split), _ROWS):
            here = slice(start, start + _ROWS)
            records = np.asarray(answers.records[view, here])
            yield view, split.samples[here], split.labels[here], records
    if teach.file("validation.npy").exists():
        split, logits = open_split(data.path, "validation"), np.load(teach.file("validation.npy"))
        records = answers.layout.pack(0, np.arange(len(split)), logits, None)
        yield 0, split.samples, split.labels, records
