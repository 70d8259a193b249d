from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from asking import CLASSES, answers, batch, context

from edgedistill.distill.teachers import Predictions, TeacherBatch, TeacherContext
from edgedistill.distill.teachers.apart import TeacherApart
from edgedistill.errors import UserError
from edgedistill.recipe import KerasTeacher

CONFIG = KerasTeacher(family="keras", path=Path("a.keras"))


class Elsewhere:
    """Answers with the number of the process it runs in."""

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        count = len(batch.ids)
        number = np.full((count, len(CLASSES)), os.getpid(), np.float32)
        yield Predictions(np.arange(count), number)


class Dying:
    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        os._exit(1)


def elsewhere(config: Any, context: TeacherContext) -> Elsewhere:
    return Elsewhere()


def dying(config: Any, context: TeacherContext) -> Dying:
    return Dying()


def refusing(config: Any, context: TeacherContext) -> Elsewhere:
    raise UserError("not this one", "take another")


def test_it_answers_from_another_process_which_ends_with_it() -> None:
    teacher = TeacherApart(elsewhere, CONFIG, context())
    (number,) = {int(each) for each in answers(teacher, batch()).flat}
    assert number != os.getpid()
    process = psutil.Process(number)
    del teacher
    process.wait(timeout=10)


def test_errors_come_back_with_their_hints() -> None:
    with pytest.raises(UserError) as raised:
        TeacherApart(refusing, CONFIG, context())
    assert (raised.value.message, raised.value.hint) == ("not this one", "take another")


def test_a_process_that_dies_is_told_of() -> None:
    teacher = TeacherApart(dying, CONFIG, context())
    with pytest.raises(UserError, match=r"a\.keras: the process that ran it died"):
        answers(teacher, batch())
