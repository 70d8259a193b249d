"""The one error a user sees: what is wrong, and the way out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager


class UserError(Exception):
    """Something the user can mend. The command line prints it and exits with code 2.

    `message` says what is wrong, where, and what was received; `hint` says what to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


@contextmanager
def blaming(fault: str, hint: str) -> Iterator[None]:
    """Around a library that raises whatever its input leads it to, where that input is at fault.

    Raises UserError: `fault`, with what the library said. Memory and disk that are used up, and the
    user's own errors, pass as they are.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if out_of_resources(error) is not None:
            raise
        raise UserError(f"{fault}: {in_short(error)}", hint) from error


def reading(what: str, hint: str) -> AbstractContextManager[None]:
    """Around a library's reader of a file that somebody else wrote. Raises UserError: `what` cannot
    be read."""
    return blaming(f"{what}: cannot be read", hint)


def in_short(error: BaseException) -> str:
    """An exception in one line: its kind, and the beginning of what it says."""
    try:
        said = next(iter(str(error).strip().splitlines()), "")
    except Exception:  # of a user's own kind
        said = ""
    kind = type(error).__name__
    return f"{kind}: {said[:300]}" if said else kind


def printable(text: str) -> str:
    """`text` as it may go to a terminal: whatever would move its cursor, change its colours or hide
    a part of the text is written as an escape. Lines stay lines."""
    return "".join(
        char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text
    )


SHOWN = 60
"""Names that a hint lists, at most."""


def nearest(name: str, choices: list[str]) -> str:
    """`did you mean ...?` for the closest of `choices`, or the list of them all."""
    import difflib

    close = difflib.get_close_matches(name, choices, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    first = sorted(choices)[:SHOWN]
    more = f", ... ({len(choices)} in all)" if len(choices) > SHOWN else ""
    return f"one of: {', '.join(first)}{more}"


def out_of_resources(error: Exception, folder: str = ".") -> UserError | None:
    """Memory or disk used up, as something the user can mend; None for any other error.

    `folder` is on the disk that was written to, for errors that do not name a file.
    """
    import errno
    from pathlib import Path

    again = "then run the same command: it goes on from the last checkpoint"
    # torch reports memory that it cannot have as a RuntimeError.
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        import psutil

        free = psutil.virtual_memory().available / 1e6
        return UserError(
            f"out of memory ({free:.0f} MB free); nothing is lost",
            f"free some, or lower `workers`; {again}. A lower `batch_size` begins its stage anew",
        )
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    # safetensors and torch tell of it in their own errors' text.
    if full or "No space left on device" in str(error):
        import shutil

        # Of a copy that failed, the second name is where to.
        names = (getattr(error, name, None) for name in ("filename2", "filename"))
        place = Path(os.fsdecode(next(filter(None, names), folder))).absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free / 1e6
        return UserError(
            f"the disk is full ({free:.0f} MB free at {place}); nothing is lost",
            f"make room (`edgedistill cache prune --keep 1GB`); {again}",
        )
    return None


def refused(error: Exception) -> UserError | None:
    """A place that cannot be read or written, as something the user can mend; None for any other
    error."""
    if not isinstance(error, OSError) or error.filename is None:
        return None
    name = error.filename
    shown = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
    told = (error.strerror or type(error).__name__).lower()
    return UserError(f"{shown[:200]}: {told}", "choose another place, or mend its permissions")
