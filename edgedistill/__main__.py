"""The entry point, and `python -m edgedistill`: ready for Ctrl-C before anything takes its time."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from os import _exit  # as it is now: while a user's code runs, `os._exit` is another
from types import FrameType

INTERRUPTED = 130
"""Exit code, as of a shell's commands."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, and end with its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    _open_standard_streams()
    try:
        from edgedistill.command_line import run

        code = run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _end)
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    """At once: what is under way may not come back soon, or keep the first Ctrl-C to itself."""
    _exit(INTERRUPTED)


def _open_standard_streams() -> None:
    """Let those that are closed lead nowhere: a file opened later would stand in for them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "r" if number == 0 else "w", closefd=False)
            setattr(sys, name, stream)


if __name__ == "__main__":
    main()
