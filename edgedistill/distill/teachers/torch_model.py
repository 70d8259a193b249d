"""A torch model as teacher."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgedistill.distill.teachers import Answered, Question, Room, check_answers
from edgedistill.models import load
from edgedistill.models.fused import fused
from edgedistill.recipe import Model
from edgedistill.tasks.predict import torch_predictor


class TorchTeacher:
    def __init__(self, room: Room) -> None:
        self._predict = torch_predictor(fused(load(room.artifact / "model")), room.precision)
        self._classes = room.classes

    def ask(self, question: Question) -> Iterator[Answered]:
        logits = self._predict(question.pixels)
        count = len(question.ids)
        yield Answered(np.arange(count), check_answers(logits, count, self._classes, "the teacher"))


def open_(config: Model, room: Room) -> TorchTeacher:
    return TorchTeacher(room)
