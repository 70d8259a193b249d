"""Folders that are made once, each whole or not at all: what `device setup` consists of."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistill.artifact import file_digest, write_json
from edgedistill.devices import private
from edgedistill.errors import UserError

Say = Callable[[str], None]
MANIFEST = "emulator/manifest.json"
"""In the private folder: by step what it was made from, what was got, and each file's digest."""


@dataclass(frozen=True)
class Step:
    """A folder of the private one."""

    place: str
    what: str
    """For people."""
    wanted: Mapping[str, str]
    """All that decides its content: versions and digests. Where they change, it is made anew."""
    make: Callable[[Path, Say], Mapping[str, str]]
    """Fills an empty folder, and tells what it got."""


def take(steps: Sequence[Step], say: Say) -> None:
    """Take the steps in turn, but for those that are done and whole.

    Raises UserError: another process is at it, or a step fails; those before it stay.
    """
    root = private.folder().absolute()
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root):
        for number, step in enumerate(steps, 1):
            told = f"{number}/{len(steps)} {step.what}"
            if _is_whole(root, step):
                say(f"{told}: there already")
                continue
            say(f"{told} ...")
            begin = time.monotonic()
            size = _take(root, step, say)
            say(f"{told}: {size / 1e6:.1f} MB in {time.monotonic() - begin:.0f} s")


def entry(step: Step) -> dict[str, Any] | None:
    """What the manifest says of a step: `wanted`, `got`, and `files` with their digests."""
    found: dict[str, Any] | None = _manifest(private.folder()).get(step.place)
    return found


def is_current(step: Step) -> bool:
    """Whether a step was taken, from what it would be made from today. Its files are not read."""
    found = entry(step)
    return found is not None and found["wanted"] == dict(step.wanted)


def _take(root: Path, step: Step, say: Say) -> int:
    """Make a step's folder beside its place, and move it there; returns its size in bytes."""
    new, place = root / "new", root / step.place
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        got = dict(step.make(new, say))
        files = {path.relative_to(new).as_posix(): path for path in sorted(_files(new))}
        digests = {name: file_digest(path) for name, path in files.items()}
        size = sum(path.stat().st_size for path in files.values())
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(new, place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    row = {"wanted": dict(step.wanted), "got": got, "files": digests}
    (root / MANIFEST).parent.mkdir(exist_ok=True)
    write_json(root / MANIFEST, {**_manifest(root), step.place: row})
    return size


def _is_whole(root: Path, step: Step) -> bool:
    if not is_current(step):
        return False
    rows = _manifest(root)[step.place]["files"]
    found = {path.relative_to(root / step.place).as_posix() for path in _files(root / step.place)}
    return found == set(rows) and all(
        file_digest(root / step.place / name) == digest for name, digest in rows.items()
    )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _manifest(root: Path) -> dict[str, Any]:
    """Empty where there is none yet, or it was damaged: then all is made anew."""
    with suppress(OSError, ValueError):
        found = json.loads((root / MANIFEST).read_text())
        if isinstance(found, dict):
            return found
    return {}


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    with (root / ".lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{root}: another process sets devices up there", "wait until it has ended"
            ) from None
        yield


def call(
    arguments: Sequence[str | Path],
    what: str,
    hint: str,
    patience: float = 600.0,
    folder: Path | None = None,
) -> str:
    """Run a program, in `folder` where one is given, and return what it printed.

    Raises UserError: it failed, with its last words, or has not ended within `patience` seconds.
    """
    try:
        done = subprocess.run(
            [str(each) for each in arguments],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{what}: has not ended within {patience:g} s", hint) from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "without a word").splitlines()
        raise UserError(f"{what}: {said[-1].strip()[:300]}", hint)
    return done.stdout
