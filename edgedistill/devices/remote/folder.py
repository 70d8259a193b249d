"""The folder that is made on a device, what lies in it, and how all of it goes away again."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgedistill.artifact import file_digest
from edgedistill.devices.remote import scripts
from edgedistill.devices.remote.link import Answer, Link, Lost, Refused, last_words
from edgedistill.errors import UserError

_LEAST_FREE = 32 * 1024
"""KiB that a place must have free to be taken."""
_COMES_BACK, _BETWEEN = 10.0, 1.0
"""Seconds to wait for a device that is gone, so as to clean up there, and between two looks."""


@contextmanager
def telling(link: Link, doing: str) -> Iterator[None]:
    """Raises UserError: the device was lost, or refused something, as it did that."""
    try:
        yield
    except Lost as error:
        raise UserError(f"{link.name}: lost while {doing}: {error}", link.way_out) from error
    except Refused as error:
        raise UserError(
            f"{link.name}: failed while {doing}: {error}",
            "make room there, or mend what it says",
        ) from error


class Folder:
    """A folder of one session there, under a name that nothing else has."""

    def __init__(self, link: Link) -> None:
        self.path = ""
        self._link = link
        self._name = f"edgedistill-{secrets.token_hex(6)}"
        self._there: dict[str, str] = {}

    def make(self) -> None:
        """Raises UserError: there is no place where a program may run, with what each lacks."""
        script = scripts.make(self._link.places, self._name, _LEAST_FREE)
        with telling(self._link, "making a folder there"):
            answer = self._link.run(script)
        found = re.search(r"^found (\S+)$", answer.out, re.MULTILINE)
        if not found:
            reasons = "; ".join(line for line in answer.out.splitlines() if line) or answer.err
            raise UserError(
                f"{self._link.name}: no place to measure in ({reasons})",
                "make room, or let programs run, in one of these",
            )
        self.path = found[1]

    def keep(self, files: Mapping[str, Path]) -> None:
        """Carry files there, under these names, unless they lie there already.

        Raises UserError: there is no room, the device is lost, or a file arrived changed.
        """
        digests = {name: file_digest(path) for name, path in files.items()}
        new = {name: path for name, path in files.items() if self._there.get(name) != digests[name]}
        if not new:
            return
        what = f"copying {', '.join(sorted(new))}"
        with telling(self._link, what):
            self._must_have_room(new)
            self._link.push(new, self.path)
            self._must_have_arrived({name: digests[name] for name in new})
        self._there |= digests

    def _must_have_room(self, files: Mapping[str, Path]) -> None:
        answer = self._link.run(scripts.room(self.path, files))
        free = re.search(r"(\d+)\s+\d+%", answer.out)
        needed = sum(path.stat().st_size for path in files.values()) / 1e6
        if free and int(free[1]) * 1024 / 1e6 < needed:
            raise UserError(
                f"{self._link.name}: {int(free[1]) * 1024 / 1e6:.1f} MB are free at {self.path}, "
                f"and {needed:.1f} MB are needed",
                "make room there",
            )

    def _must_have_arrived(self, digests: Mapping[str, str]) -> None:
        answer = self._link.run(scripts.digests(self.path, digests))
        arrived = re.findall(r"^\\?([0-9a-f]{64})\b", answer.out, re.MULTILINE)
        if len(arrived) != len(digests):
            said = last_words(answer.err) or "it has no sha256sum"
            raise Refused(f"what arrived there cannot be checked: {said}")
        for (name, digest), there in zip(digests.items(), arrived, strict=True):
            if digest != there:
                raise UserError(
                    f"{self._link.name}: {name} arrived changed: its SHA-256 is {there[:12]}... "
                    f"there and {digest[:12]}... here",
                    "the cable or the storage there is at fault: change it, then try again",
                )

    def drop(self, names: Iterable[str]) -> None:
        """Remove files there, as far as it can be reached."""
        for name in names:
            self._there.pop(name, None)
        self._link.run(scripts.drop(self.path, names), 30)

    def run(self, name: str, seconds: float) -> Answer:
        """Run a script that lies there. Raises Lost."""
        return self._link.run(f"sh {self.path}/{name}", seconds)

    def pull(self, names: Iterable[str], into: Path) -> None:
        """Copy files from there. Raises Lost and Refused."""
        self._link.pull(names, self.path, into)

    def remove(self) -> str:
        """End what runs there and remove the folder, for which a device that is gone has a few
        seconds to come back. Returns what was left, "" where nothing was."""
        script = scripts.remove(self._link.places, self._name)
        until = time.monotonic() + _COMES_BACK
        while True:
            try:
                answer = self._link.run(script, 30)
            except Lost as error:
                why = str(error)
            else:
                if answer.code == 0:
                    return ""
                why = "it could not be removed"
            if time.monotonic() > until:
                return f"{self.path or self._name} was left on {self._link.name} ({why})"
            time.sleep(_BETWEEN)
