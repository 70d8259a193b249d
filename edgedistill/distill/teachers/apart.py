"""A teacher in a process of its own: its file may have been made by anybody, or its framework may
not get on with torch in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from edgedistill.apart import Apart
from edgedistill.distill.teachers import Predictions, Teacher, TeacherBatch, TeacherContext
from edgedistill.recipe import KerasTeacher, OnnxTeacher, TfliteTeacher

Config = KerasTeacher | OnnxTeacher | TfliteTeacher


_PATIENCE = 600.0
"""Seconds in which a teacher must have come up, its framework imported."""


class TeacherApart:
    """Asks the teacher that `opener` opens, a function of a module, in another process. That
    process ends with this object."""

    def __init__(
        self,
        opener: Callable[[Any, TeacherContext], Teacher],
        config: Config,
        context: TeacherContext,
    ) -> None:
        """Raises UserError: what `opener` raises, or the process dies, or it does not come up."""
        self._who = str(config.path)
        self._process = Apart("lower `stages.teach.batch_size`, or export the teacher again")
        self._process.call(self._who, _PATIENCE, _open, opener, config, context)

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """The other process's answers, all at once. Raises UserError: also that it died."""
        yield from self._process.call(self._who, None, _ask, batch)


_teacher: Teacher | None = None
"""In that process: the one that is asked."""


def _open(
    opener: Callable[[Any, TeacherContext], Teacher], config: Any, context: TeacherContext
) -> None:
    global _teacher
    _teacher = opener(config, context)


def _ask(batch: TeacherBatch) -> list[Predictions]:
    assert _teacher is not None
    return list(_teacher.predict(batch))
