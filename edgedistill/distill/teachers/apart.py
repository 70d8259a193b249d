"""A teacher in a process of its own: its file may have been made by anybody, or its framework may
not get on with torch in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from edgedistill.apart import Apart
from edgedistill.distill.teachers import Answered, Question, Room, Teacher
from edgedistill.recipe import KerasTeacher, OnnxTeacher, TfliteTeacher

Config = KerasTeacher | OnnxTeacher | TfliteTeacher


_PATIENCE = 600.0
"""Seconds in which a teacher must have come up, its framework imported."""


class TeacherApart:
    """Asks the teacher that `opener` opens, a function of a module, in another process. That
    process ends with this object."""

    def __init__(self, opener: Callable[[Any, Room], Teacher], config: Config, room: Room) -> None:
        """Raises UserError: what `opener` raises, or the process dies, or it does not come up."""
        self._who = str(config.path)
        self._process = Apart("lower `stages.teach.batch_size`, or export the teacher again")
        self._process.call(self._who, _PATIENCE, _open, opener, config, room)

    def ask(self, question: Question) -> Iterator[Answered]:
        yield from self._process.call(self._who, None, _ask, question)


_teacher: Teacher | None = None
"""In that process: the one that is asked."""


def _open(opener: Callable[[Any, Room], Teacher], config: Any, room: Room) -> None:
    global _teacher
    _teacher = opener(config, room)


def _ask(question: Question) -> list[Answered]:
    assert _teacher is not None
    return list(_teacher.ask(question))
