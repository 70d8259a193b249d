"""A command line, from its words to its exit code.

0; 1 a contract or parity missed; 2 something the user can mend; 70 a mistake of ours; 130
interrupted; 141 nobody read what was printed.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from edgedistill.__main__ import INTERRUPTED
from edgedistill.cli import app
from edgedistill.console import flush, print_no_more, say
from edgedistill.errors import in_short

OWN_MISTAKE, UNREAD = 70, 141


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit code, with whatever can go wrong in words."""
    import logging

    # torch tells of its own deprecations there, on import: nothing a user can mend.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(args=arguments, prog_name="edgedistill", standalone_mode=False) or 0
        flush()
    except (BrokenPipeError, SystemExit):  # nobody reads on, as after `| head`; Typer exits then
        print_no_more()
        return UNREAD
    except Exception as error:
        return _tell(error)
    if code == INTERRUPTED:
        say("interrupted; the same command goes on from the last checkpoint")
    return int(code)


def _tell(error: Exception) -> int:
    """Say what went wrong; returns the exit code."""
    from edgedistill.errors import UserError, out_of_resources, refused

    # Typer's own errors of usage know how to show themselves.
    if hasattr(error, "show"):
        error.show()
        return 2
    known = error if isinstance(error, UserError) else out_of_resources(error) or refused(error)
    if known is None:
        import traceback

        traceback.print_exception(error)
        say(f"error: a mistake of edgedistill's own: {in_short(error)}")
        say("hint: please report it, with the lines above and what was asked")
        return OWN_MISTAKE
    say(f"error: {known.message}")
    if known.hint:
        say(f"hint: {known.hint}")
    return 2
