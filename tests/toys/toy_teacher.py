"""A teacher: one file, one line of `families.teachers.TEACHERS`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from edgedistill.families.common import TeacherCommon


class Oracle(TeacherCommon):
    """Always sure of the first class."""

    family: Literal["oracle"]
    opened_by = __name__
    free_outputs = True


class Answering:
    def __init__(self, classes: int) -> None:
        self._logits = 9.0 * np.eye(1, classes, dtype=np.float32)

    def predict(self, batch: Any) -> Iterator[Any]:
        from edgedistill.distill.teachers import Predictions

        count = len(batch.ids)
        yield Predictions(np.arange(count), np.repeat(self._logits, count, axis=0))


def open_(config: Oracle, context: Any) -> Answering:
    return Answering(len(context.classes))
