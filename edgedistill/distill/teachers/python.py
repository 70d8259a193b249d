"""A user's own `module:function` as teacher."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgedistill.distill.teachers import (
    Predictions,
    TeacherBatch,
    TeacherContext,
    check_answers,
    log_probabilities,
)
from edgedistill.distill.teachers.fitted import embeddings
from edgedistill.recipe import PythonTeacher
from edgedistill.usercode import load_function, running


class FunctionTeacher:
    """Answers with what the function gives for images, uint8 (batch, height, width, channels), or
    for sound, float32 (batch, length) in -1..1."""

    def __init__(self, config: PythonTeacher, context: TeacherContext) -> None:
        self._function = load_function(config.function, "teacher.function")
        self._config, self._classes, self._hears = config, context.classes, context.sound

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """All at once. Raises UserError: the function fails, or does not give (batch, classes), or
        for embeddings (batch, dimensions)."""
        who, count = f"`{self._config.function}`", len(batch.ids)
        heard = self._hears is not None
        given: Any = batch.sound if heard else batch.images
        kind = "float32 (batch, length)" if heard else "uint8 (batch, height, width, channels)"
        outputs = self._config.outputs
        width = "dimensions" if outputs == "embedding" else len(self._classes)
        hint = (
            f"it is called with {kind}, here {given.shape}, and gives an array ({count}, {width})"
        )
        with running(who, "teacher.function", hint):
            found = np.asarray(self._function(given), np.float32)
        if outputs == "embedding":
            yield Predictions(np.arange(count), embeddings(found, count, who))
            return
        logits = check_answers(found, count, self._classes, who)
        if outputs == "probabilities":
            logits = log_probabilities(logits)
        yield Predictions(np.arange(count), logits)


def open_(config: PythonTeacher, context: TeacherContext) -> FunctionTeacher:
    """The teacher. Raises UserError: there is no such function."""
    return FunctionTeacher(config, context)
