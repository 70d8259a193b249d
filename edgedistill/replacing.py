"""Folders that are handed over: built beside their place, moved there whole."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgedistill.errors import UserError


@dataclass(frozen=True)
class Kind:
    """What is written, so that an older one of it, and nothing else, may be replaced."""

    noun: str
    listed: Callable[[Path], set[str] | None]
    """The files that one consists of, relative to it; None for a folder that is none."""


def put(out: Path, fill: Callable[[Path], object], kind: Kind) -> None:
    """Write a folder `out`; fill: writes all of it into the folder that it is given.

    An older one there is replaced whole. Raises UserError: `out` is something else, or holds
    files that are no part of it; or its disk is full.
    """
    out = out.absolute()
    check_place(out, kind)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(out.parent):
        _sweep(out, kind)
        with tempfile.TemporaryDirectory(prefix=_prefix(out), dir=out.parent) as scratch:
            fresh = Path(scratch, kind.noun)
            fresh.mkdir()
            _fill_or_tell(fill, fresh, out)
            check_place(out, kind)
            if out.exists():
                os.replace(out, Path(scratch, _OLD))
            os.replace(fresh, out)


_OLD = "old"


def _prefix(out: Path) -> str:
    return f".{out.name}.edgedistill-"


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """As the only process that writes such folders into `folder`, where the system has locks of
    folders."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _sweep(out: Path, kind: Kind) -> None:
    """Remove what a run that was killed while it wrote to `out` left beside it; what it had moved
    out of the way comes back."""
    for left in out.parent.iterdir():
        if left.name.startswith(_prefix(out)) and _is_ours(left, kind):
            if (left / _OLD).is_dir() and not out.exists():
                os.replace(left / _OLD, out)
            shutil.rmtree(left, ignore_errors=True)


def _is_ours(place: Path, kind: Kind) -> bool:
    """Whether a folder beside `out` holds what is put there on the way, and nothing else."""
    if place.is_symlink() or not place.is_dir():
        return False
    return {each.name for each in place.iterdir()} <= {kind.noun, _OLD}


def check_place(out: Path, kind: Kind) -> None:
    """Raises UserError: nothing may be written to `out`, as something else is there."""
    _check_writable(out)
    if out.is_symlink() or (out.exists() and not _replaceable(out, kind)):
        raise UserError(
            f"{out} exists and is not a {kind.noun}; it was left alone",
            "choose another folder with --out, or move it away",
        )
    if out.is_mount():
        raise UserError(
            f"{out} is a mount point, which cannot be replaced in one move",
            "name a folder inside it with --out",
        )
    others = _foreign(out, kind) if out.exists() else []
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise UserError(
            f"{out} holds what is no part of its {kind.noun}: {', '.join(others[:3])}{more}; it "
            "was left alone",
            "move that elsewhere, or choose another folder with --out",
        )


def _check_writable(out: Path) -> None:
    try:
        there = next(place for place in out.absolute().parents if place.exists())
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise UserError(f"--out {str(out)[:200]}: {told}", "choose another folder") from None
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "cannot be written to" if there.is_dir() else "is a file"
        raise UserError(f"{out}: {there} {what}", "choose another folder with --out")


def _replaceable(out: Path, kind: Kind) -> bool:
    return out.is_dir() and (kind.listed(out) is not None or not any(out.iterdir()))


def _foreign(out: Path, kind: Kind) -> list[str]:
    """What lies in the folder `out` and is not listed as a part of it, sorted."""
    known = kind.listed(out) or set()
    return sorted(
        name
        for path in out.rglob("*")
        if (path.is_symlink() or not path.is_dir())
        and (name := path.relative_to(out).as_posix()) not in known
    )


def _fill_or_tell(fill: Callable[[Path], object], folder: Path, out: Path) -> None:
    """Raises UserError: the disk of `out` is full."""
    try:
        fill(folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise
        free = shutil.disk_usage(folder).free / 1e6
        raise UserError(
            f"{out}: the disk of {out.parent} is full ({free:.0f} MB free); what was compiled is "
            "kept",
            "make room there, or choose a folder on another disk with --out; then run the same "
            "command",
        ) from None
