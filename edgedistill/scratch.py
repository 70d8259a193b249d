"""Folders for what passes, which a later run removes where this one is killed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where nothing is compiled, and packages are made
    fcntl = None  # type: ignore[assignment]

_PREFIX, _NEW = "edgedistill-scratch-", "edgedistill-new-"
_MARK = ".scratch"
"""A file in each, so that no folder of the user's that is named alike is taken for one."""
_SECONDS_TO_LOCK = 60.0
"""A folder that is older and still new belongs to a process that was killed as it made it."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder in the system's place for such, for as long as the context is open. It is locked,
    which tells it from those of killed processes; these are removed. A system without locks keeps
    what a killed process left."""
    if fcntl is None:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as plain:
            yield Path(plain)
        return
    base = Path(tempfile.gettempdir())
    _sweep(base)
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=base))
    (new / _MARK).touch()
    held = os.open(new, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    folder = new.rename(base / (_PREFIX + new.name.removeprefix(_NEW)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


@contextmanager
def scratch_for_all() -> Iterator[None]:
    """Let libraries, and processes that are started, put what passes into such a folder too."""
    before, told = tempfile.tempdir, os.environ.get("TMPDIR")
    with scratch_folder() as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before
            if told is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = told


def _sweep(base: Path) -> None:
    for prefix in (_PREFIX, _NEW):
        for place in base.glob(f"{prefix}*"):
            with suppress(OSError):
                if _is_ours(place) and _is_left(place):
                    shutil.rmtree(place, ignore_errors=True)


def _is_ours(place: Path) -> bool:
    mine = place.lstat().st_uid == os.getuid()
    return mine and not place.is_symlink() and (place / _MARK).is_file()


def _is_left(folder: Path) -> bool:
    """Whether nobody works in a folder any more."""
    if folder.name.startswith(_NEW):
        return time.time() - folder.stat().st_mtime > _SECONDS_TO_LOCK
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(held)
    return True
