"""Around a user's own code, which may raise anything and end anywhere."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgedistill.errors import UserError, in_short, out_of_resources


@contextmanager
def running(what: str, where: str, hint: str = "") -> Iterator[None]:
    """Around each step of a user's own code, which may raise anything and end anywhere: its call,
    and each item of what it yields.

    Raises UserError: `what` failed, with the file and line of the user's that it failed in; also
    where it would end the program. Ctrl-C, and memory and disk that are used up, pass as they are.

    what: for messages, e.g. "`my_data:samples`"; where: the recipe's key, e.g. `data.function`.
    """
    try:
        with _without_exit():
            yield
    except (UserError, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        if isinstance(error, Exception) and out_of_resources(error) is not None:
            raise
        raise UserError(
            f"{where}: {what} failed{_place(error)}: {in_short(error)}", hint
        ) from error


def own_fault(error: BaseException) -> UserError | None:
    """An error that came through the user's own code, such as a model's forward, as theirs; None
    for any other."""
    place = _place(error)
    if not place:
        return None
    hint = "mend it there; the same command then goes on from what is done"
    return UserError(f"your own code failed{place}: {in_short(error)}", hint)


@contextmanager
def _without_exit() -> Iterator[None]:
    """Let `os._exit`, which no handler sees, end no more than the processes that a user's code
    forks: the exit code would be taken for what became of the command."""
    ours, exit_ = os.getpid(), os._exit

    def refuse(code: int) -> None:
        if os.getpid() != ours:
            exit_(code)
        raise SystemExit(code)

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = exit_


def _place(error: BaseException) -> str:
    """The last line of the user's own that an error came through."""
    frames = [
        (frame.f_code.co_filename, at) for frame, at in traceback.walk_tb(error.__traceback__)
    ]
    for name, line in reversed(frames):
        if _is_own(Path(name)):
            return f" in {Path(name).name} line {line}"
    return ""


def _is_own(file: Path) -> bool:
    libraries = [*map(Path, sysconfig.get_paths().values()), Path(__file__).parents[1]]
    return file.is_file() and not any(file.is_relative_to(each) for each in libraries)
