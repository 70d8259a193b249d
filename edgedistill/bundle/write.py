"""Write a bundle: built beside its place, moved there whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill import replacing
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
    given. Raises UserError: as `replacing.put` does."""
    replacing.put(out, fill, _BUNDLE)
    return Bundle.load(out.absolute())


def check_place(out: Path) -> None:
    """Raises UserError: a bundle may not be written to `out`, as something else is there."""
    replacing.check_place(out, _BUNDLE)


def _listed(out: Path) -> set[str] | None:
    return listed(read_manifest(out)) if is_bundle(out) else None


_BUNDLE = replacing.Kind("bundle", _listed)


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
