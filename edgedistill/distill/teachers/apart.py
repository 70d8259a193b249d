"""A teacher in a process of its own, for a framework that does not get on with torch in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from edgedistill.data.workers import follow_parent
from edgedistill.distill.teachers import Answered, Question, Room, Teacher
from edgedistill.errors import UserError
from edgedistill.recipe import KerasTeacher


class TeacherApart:
    """Asks the teacher that `opener` opens, a function of a module, in another process. That
    process ends with this object."""

    def __init__(
        self, opener: Callable[[KerasTeacher, Room], Teacher], config: KerasTeacher, room: Room
    ) -> None:
        """Raises UserError: what `opener` raises, or the process dies."""
        import multiprocessing

        self._who = str(config.path)
        self._process = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), initializer=follow_parent
        )
        self._there(_open, opener, config, room)

    def ask(self, question: Question) -> Iterator[Answered]:
        yield from self._there(_ask, question)

    def _there(self, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self._process.submit(work, *arguments).result()
        except BrokenProcessPool:
            raise UserError(
                f"{self._who}: the process that ran this teacher died: out of memory, or started "
                'from a script without `if __name__ == "__main__":`',
                "lower `stages.teach.batch_size`, or guard the script's main part",
            ) from None


_teacher: Teacher | None = None
"""In that process: the one that is asked."""


def _open(opener: Callable[[Any, Room], Teacher], config: Any, room: Room) -> None:
    global _teacher
    _teacher = opener(config, room)


def _ask(question: Question) -> list[Answered]:
    assert _teacher is not None
    return list(_teacher.ask(question))
