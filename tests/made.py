"""Records as stages leave them, for tests that start in the middle of a compile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgedistill.records import DataRecord, Duplicates


def data_record(
    classes: Sequence[str] = ("a", "b"),
    image_size: int = 8,
    channels: int = 3,
    task: str = "classification",
    **other: Any,
) -> DataRecord:
    """A record of the stage `data`; the classes are the labels too unless others are given."""
    fields: dict[str, Any] = {
        "labels": tuple(classes), "captions": tuple(classes), "own_test": True,
        "preprocessing": "none", "counts": {"train": 100, "validation": 12, "test": 12},
        "unlabelled": 0, "class_counts": {}, "duplicates": Duplicates({}, {}, ()), "skipped": (),
    }  # fmt: skip
    return DataRecord(
        task=task, classes=tuple(classes), image_size=image_size, channels=channels,
        **fields | other,
    )  # fmt: skip
