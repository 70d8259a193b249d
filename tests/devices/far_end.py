"""A device that is this machine, at the other end of a link that can be cut."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from edgedistill.devices import private
from edgedistill.devices.remote import facts
from edgedistill.devices.remote.link import Answer, Lost, answer, call, ending

UNAME = 'case $1 in -m) echo aarch64;; *) exec /usr/bin/uname "$@";; esac'
"""A script for where QEMU starts programs for arm64: it leaves the kernel's own answer that of the
machine."""


class FarEnd:
    """A link whose device is a folder of this machine. `gone` cuts it; `on` is asked before
    each thing that goes over it, and may raise what a client would."""

    name = "far"
    conditions = facts.LINUX
    way_out = "look at the cable"

    def __init__(self, place: Path) -> None:
        self.place = place
        self.places = (str(place),)
        self.gone = self.closed = False
        self.asked: list[str] = []
        self.on: dict[str, Callable[..., object]] = {}

    def open(self) -> None:
        self._ask("open")

    def close(self) -> None:
        self.closed = True

    def run(self, script: str, seconds: float = 60.0) -> Answer:
        self._ask("run", script)
        return self._sh(script, seconds)

    def push(self, files: Mapping[str, Path], folder: str) -> None:
        for name, path in files.items():
            self._ask("push", name)
            shutil.copy(path, Path(folder, name))

    def pull(self, names: Iterable[str], folder: str, into: Path) -> None:
        for name in names:
            self._ask("pull", name)
            shutil.copy(Path(folder, name), into / name)

    def left(self) -> list[str]:
        """What lies there."""
        return sorted(path.name for path in self.place.iterdir())

    def _sh(self, script: str, seconds: float) -> Answer:
        return answer(call(["sh", "-c", ending(script)], seconds))

    def _ask(self, what: str, *about: str) -> None:
        self.asked.append(" ".join((what, *about)))
        if what in self.on:
            self.on[what](*about)
        if self.gone:
            raise Lost("device 'far' not found")


def processes(folder: Path | str) -> list[str]:
    """Commands of this machine that run in a folder, or in one that was removed there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            at = str((process / "cwd").readlink())
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if at.startswith(str(folder)) and words:
            found.append(words)
    return found


def has(command: list[str]) -> bool:
    """Whether that ends well here."""
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def missing_for_arm64() -> str:
    """What is not here for an arm64 device whose programs QEMU starts, "" where all of it is."""
    if shutil.which("qemu-aarch64") is None:
        return "QEMU is not here: apt-get install qemu-user"
    if not (private.folder() / "aarch64" / "lib").is_dir():
        return "arm64's libraries are not here: edgedistill device setup emulator"
    return ""
