from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from asking import CLASSES, answers, question, room

from edgedistill.distill.teachers import Answered, Question, Room
from edgedistill.distill.teachers.apart import TeacherApart
from edgedistill.errors import UserError
from edgedistill.recipe import KerasTeacher

CONFIG = KerasTeacher(family="keras", path=Path("a.keras"))


class Elsewhere:
    """Answers with the number of the process it runs in."""

    def ask(self, question: Question) -> Iterator[Answered]:
        count = len(question.ids)
        number = np.full((count, len(CLASSES)), os.getpid(), np.float32)
        yield Answered(np.arange(count), number)


class Dying:
    def ask(self, question: Question) -> Iterator[Answered]:
        os._exit(1)


def elsewhere(config: Any, room: Room) -> Elsewhere:
    return Elsewhere()


def dying(config: Any, room: Room) -> Dying:
    return Dying()


def refusing(config: Any, room: Room) -> Elsewhere:
    raise UserError("not this one", "take another")


def test_it_answers_from_another_process_which_ends_with_it() -> None:
    teacher = TeacherApart(elsewhere, CONFIG, room())
    (number,) = {int(each) for each in answers(teacher, question()).flat}
    assert number != os.getpid()
    process = psutil.Process(number)
    del teacher
    process.wait(timeout=10)


def test_errors_come_back_with_their_hints() -> None:
    with pytest.raises(UserError) as raised:
        TeacherApart(refusing, CONFIG, room())
    assert (raised.value.message, raised.value.hint) == ("not this one", "take another")


def test_a_process_that_dies_is_told_of() -> None:
    teacher = TeacherApart(dying, CONFIG, room())
    with pytest.raises(UserError, match=r"a\.keras: the process that ran it died"):
        answers(teacher, question())
