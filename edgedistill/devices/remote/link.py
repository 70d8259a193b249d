"""The way to a device and back, and how to tell that it is cut."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

_END = "edgedistill ended with "
"""What a script prints last. A client's exit code does not tell a device that vanished from a
script that ended well: adb's is 0 for both."""
_SECONDS_TO_BEGIN = 60.0
_SLOWEST = 100e3
"""Bytes a second of a link that is still worth waiting for."""


class Lost(Exception):
    """The device no longer answers; with what the client said."""


class Refused(Exception):
    """The device answers, and did not take or give a file; with what it said."""


@dataclass(frozen=True)
class Answer:
    """What a script printed there, and its exit code."""

    code: int
    out: str
    err: str


class Link(Protocol):
    """A way to a device. Paths there are absolute and hold no character that a shell reads."""

    @property
    def name(self) -> str:
        """The device as the user asked for it, e.g. `ssh:pi`."""

    @property
    def places(self) -> tuple[str, ...]:
        """Where a folder may be made there, as sh writes it; the first that will do is taken."""

    @property
    def conditions(self) -> Mapping[str, str]:
        """What to ask of the device's state, as `facts` has it."""

    @property
    def way_out(self) -> str:
        """What to do where it is lost."""

    def open(self) -> None:
        """Look whether the device is there. Raises UserError: it is not, with what to do."""

    def close(self) -> None:
        """Let go of it, whether `open` went well or not."""

    def run(self, script: str, seconds: float = 60.0) -> Answer:
        """Run a script with the device's sh, without input. Raises Lost."""

    def push(self, files: Mapping[str, Path], folder: str) -> None:
        """Copy files into a folder that is there, under these names. Raises Lost and Refused."""

    def pull(self, names: Iterable[str], folder: str, into: Path) -> None:
        """Copy files of that folder, as many as there are. Raises Lost and Refused."""


def ending(script: str) -> str:
    """`script` so that its end can be told from a link that broke."""
    return f"(\n{script}\n) </dev/null\ncode=$?\necho\necho '{_END}'$code\n"


def answer(done: subprocess.CompletedProcess[bytes]) -> Answer:
    """What a client brought back of an `ending` script. Raises Lost: not its end."""
    out, end, code = text(done.stdout).rpartition(f"\n{_END}")
    if not end:
        raise Lost(last_words(done.stderr) or "the connection broke without a word")
    return Answer(int(code), out, text(done.stderr))


def call(
    command: list[str], seconds: float = 60.0, given: IO[bytes] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a client here, which reads what is `given`. Raises Lost: it did not end in time.

    It has a session of its own, so that Ctrl-C interrupts this process, which ends the client and
    still has a link to clean up over.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL if given is None else given,
            capture_output=True,
            timeout=seconds,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise Lost(f"no answer within {seconds:g} s") from None


def patience(files: Iterable[Path]) -> float:
    """Seconds that copying these files may take."""
    return _SECONDS_TO_BEGIN + sum(path.stat().st_size for path in files) / _SLOWEST


def text(raw: bytes) -> str:
    """What a device prints, in lines as they are here."""
    return raw.decode(errors="backslashreplace").replace("\r\n", "\n")


def last_words(raw: bytes | str) -> str:
    """The last line that says something, cut to a length for a message."""
    words = raw if isinstance(raw, str) else text(raw)
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
