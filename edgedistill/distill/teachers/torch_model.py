"""A torch model as teacher."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgedistill.distill.teachers import Predictions, TeacherBatch, TeacherContext, check_answers
from edgedistill.models import accelerated, load
from edgedistill.models.fused import fused
from edgedistill.predict import torch_predictor
from edgedistill.recipe import Model


class TorchTeacher:
    """Answers with the logits of the model that the stage `teacher` left."""

    def __init__(self, context: TeacherContext) -> None:
        model = accelerated(fused(load(context.artifact / "model")))
        self._predict = torch_predictor(model, context.precision)
        self._classes = context.classes

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """All at once. Raises UserError: the answers are not (batch, classes)."""
        logits = self._predict(*batch.inputs.values())
        count = len(batch.ids)
        yield Predictions(
            np.arange(count), check_answers(logits, count, self._classes, "the teacher")
        )


def open_(config: Model, context: TeacherContext) -> TorchTeacher:
    """The teacher that lies in the context's artifact."""
    return TorchTeacher(context)
