"""Write a bundle: built beside its place, moved there whole."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.artifact import file_digest, write_json
from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.manifest import (
    AUDIT,
    GOLDEN,
    MANIFEST,
    PAGE,
    REPORT,
    is_bundle,
    listed,
    read_manifest,
)
from edgedistill.errors import UserError
from edgedistill.recipe import of_labels
from edgedistill.records import ExportRecord, ReportRecord
from edgedistill.report import build_report, write_html
from edgedistill.tasks import TASKS

if TYPE_CHECKING:
    from edgedistill.pipeline import Result


def write_bundle(result: Result, out: Path) -> Bundle:
    """Put what a compile made for one target into the folder `out`, as `put` does."""
    return put(out, lambda folder: _fill(result, folder))


def put(out: Path, fill: Callable[[Path], object]) -> Bundle:
    """Write a bundle into the folder `out`; fill: writes all of it into the folder that it is
    given.

    An older bundle there is replaced whole. Raises UserError: `out` is something else, or holds
    files that are no part of the bundle; or its disk is full.
    """
    out = out.absolute()
    check_place(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(out.parent):
        _sweep(out)
        with tempfile.TemporaryDirectory(prefix=_prefix(out), dir=out.parent) as scratch:
            fresh = Path(scratch, _FRESH)
            fresh.mkdir()
            _fill_or_tell(fill, fresh, out)
            check_place(out)
            if out.exists():
                os.replace(out, Path(scratch, _OLD))
            os.replace(fresh, out)
    return Bundle.load(out)


_FRESH, _OLD = "bundle", "old"


def _prefix(out: Path) -> str:
    return f".{out.name}.edgedistill-"


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """As the only process that writes a bundle into `folder`."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _sweep(out: Path) -> None:
    """Remove what a run that was killed while it wrote to `out` left beside it; a bundle that it
    had moved out of the way comes back."""
    for left in out.parent.iterdir():
        if left.name.startswith(_prefix(out)) and _is_ours(left):
            if (left / _OLD).is_dir() and not out.exists():
                os.replace(left / _OLD, out)
            shutil.rmtree(left, ignore_errors=True)


def _is_ours(place: Path) -> bool:
    """Whether a folder beside a bundle holds what is put there on the way, and nothing else."""
    if place.is_symlink() or not place.is_dir():
        return False
    return {each.name for each in place.iterdir()} <= {_FRESH, _OLD}


def check_place(out: Path) -> None:
    """Raises UserError: a bundle may not be written to `out`, as something else is there."""
    _check_writable(out)
    if out.is_symlink() or (out.exists() and not _replaceable(out)):
        raise UserError(
            f"{out} exists and is not a bundle; it was left alone",
            "choose another folder with --out, or move it away",
        )
    if out.is_mount():
        raise UserError(
            f"{out} is a mount point, which cannot be replaced in one move",
            "name a folder inside it with --out",
        )
    others = _foreign(out) if out.exists() else []
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise UserError(
            f"{out} holds what is no part of its bundle: {', '.join(others[:3])}{more}; it was "
            "left alone",
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


def _replaceable(out: Path) -> bool:
    return out.is_dir() and (is_bundle(out) or not any(out.iterdir()))


def _foreign(out: Path) -> list[str]:
    """What lies in the bundle `out` and is not listed in its manifest, sorted."""
    if not any(out.iterdir()):
        return []
    known = listed(read_manifest(out))
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
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(folder).free / 1e6
        raise UserError(
            f"{out}: the disk of {out.parent} is full ({free:.0f} MB free); what was compiled is "
            "kept",
            "make room there, or choose a folder on another disk with --out; then run the same "
            "command",
        ) from None


def _fill(result: Result, folder: Path) -> None:
    from edgedistill.bundle.describe import manifest_of
    from edgedistill.bundle.explain import explained

    report = build_report(result)
    export = result.artifacts["export"]
    models = sorted(export.file("files").iterdir())
    for path in models:
        shutil.copyfile(path, folder / path.name)
    shutil.copytree(result.artifacts["verify"].file("golden"), folder / GOLDEN)
    for name, path in TASKS[result.recipe.task].carried(result.artifacts["teacher"]).items():
        shutil.copyfile(path, folder / name)
    if "audit" in result.artifacts:
        shutil.copyfile(result.artifacts["audit"].file(AUDIT), folder / AUDIT)
    entries = ExportRecord.read(export).main
    files = [explained(entry, folder, of_labels(result.recipe).stages.verify) for entry in entries]
    digests = bundle_digests(folder)
    report.write(folder)
    write_html(report, folder / PAGE, _sounds(result, report))
    write_json(folder / MANIFEST, manifest_of(result, report, files, digests).as_json())


def _sounds(result: Result, report: ReportRecord) -> dict[str, bytes]:
    """What the report has to be played, by name."""
    if report.listened is None:
        return {}
    listen = result.artifacts["listen"]
    return {each.sound: listen.file(each.sound).read_bytes() for each in report.listened.cases}


def bundle_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the model files and golden data. Measurements and the report, which differ from
    run to run, are left out."""
    told = {MANIFEST, AUDIT, REPORT, PAGE}
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() not in told
    }
