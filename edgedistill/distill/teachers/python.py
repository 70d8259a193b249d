"""A user's own `module:function` as teacher."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgedistill.distill.teachers import (
    Predictions,
    TeacherBatch,
    TeacherContext,
    check_answers,
    log_probabilities,
)
from edgedistill.recipe import PythonTeacher
from edgedistill.usercode import load_function, running


class FunctionTeacher:
    """Answers with what the function gives for images, uint8 (batch, height, width, channels)."""

    def __init__(self, config: PythonTeacher, context: TeacherContext) -> None:
        self._function = load_function(config.function, "teacher.function")
        self._config, self._classes = config, context.classes

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """All at once. Raises UserError: the function fails, or does not give (batch, classes)."""
        who, count = f"`{self._config.function}`", len(batch.ids)
        hint = (
            f"it is called with uint8 (batch, height, width, channels), here "
            f"{batch.images.shape}, and gives an array ({count}, {len(self._classes)})"
        )
        with running(who, "teacher.function", hint):
            found = np.asarray(self._function(batch.images), np.float32)
        logits = check_answers(found, count, self._classes, who)
        if self._config.outputs == "probabilities":
            logits = log_probabilities(logits)
        yield Predictions(np.arange(count), logits)


def open_(config: PythonTeacher, context: TeacherContext) -> FunctionTeacher:
    """The teacher. Raises UserError: there is no such function."""
    return FunctionTeacher(config, context)
