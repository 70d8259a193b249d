"""Write a bundle: built beside its place, moved there whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.artifact import file_digest, write_json
from edgedistill.devices import measurements
from edgedistill.errors import UserError
from edgedistill.package.audit import AUDIT
from edgedistill.package.bundle import FORMAT, MANIFEST, TEXTS, Bundle, is_bundle
from edgedistill.report import build_report, write_html

if TYPE_CHECKING:
    from edgedistill.pipeline import Result


def write_bundle(result: Result, out: Path) -> Bundle:
    """Put what a compile made for one target into the folder `out`.

    An older bundle there is replaced in one move. Raises UserError: `out` is something else.
    """
    out = out.absolute()
    check_place(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        fresh = Path(scratch, "bundle")
        fresh.mkdir()
        _fill(result, fresh)
        if out.exists():
            os.replace(out, Path(scratch, "old"))
        os.replace(fresh, out)
    return Bundle.load(out)


def check_place(out: Path) -> None:
    """Raises UserError: a bundle may not be written to `out`, as something else is there."""
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
    _check_writable(out)


def _check_writable(out: Path) -> None:
    there = next(place for place in out.absolute().parents if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "cannot be written to" if there.is_dir() else "is a file"
        raise UserError(f"{out}: {there} {what}", "choose another folder with --out")


def _replaceable(out: Path) -> bool:
    return out.is_dir() and (is_bundle(out) or not any(out.iterdir()))


def _fill(result: Result, folder: Path) -> None:
    report = build_report(result)
    export = result.artifacts["export"]
    described = export.json("export.json")
    models = sorted(export.file("files").iterdir())
    for path in models:
        shutil.copyfile(path, folder / path.name)
    shutil.copytree(result.artifacts["verify"].file("golden"), folder / "golden")
    if result.recipe.task == "retrieval":
        shutil.copyfile(result.artifacts["teacher"].file("texts.npy"), folder / TEXTS)
    if "audit" in result.artifacts:
        shutil.copyfile(result.artifacts["audit"].file(AUDIT), folder / AUDIT)
    digests = bundle_digests(folder)
    write_json(folder / "report.json", report)
    write_html(report, folder / "report.html")
    write_json(folder / MANIFEST, _manifest(result, report, described, digests))


def bundle_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the model files and golden data. Measurements and the report, which differ from
    run to run, are left out."""
    told = {MANIFEST, AUDIT, "report.json", "report.html"}
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() not in told
    }


def _manifest(
    result: Result, report: dict[str, Any], described: dict[str, Any], digests: dict[str, str]
) -> dict[str, Any]:
    data = result.artifacts["data"].json("data.json")
    audited = result.artifacts["audit"].json(AUDIT) if "audit" in result.artifacts else {}
    routing = audited.get("routing") or {}
    return {
        "bundle_format": FORMAT,
        "name": result.recipe.name,
        "ok": report["ok"],
        "shipped": report["summary"]["file"],
        "task": result.recipe.task,
        "labels": data["labels"],
        "texts": _texts(result),
        "files": [{**entry, "file": Path(entry["file"]).name} for entry in described["files"]],
        "preprocessing": {
            "image_size": data["image_size"],
            "channels": data["channels"],
            "color": "grey" if data["channels"] == 1 else "RGB",
            "range": [0, 1],
            "resize": "the middle square, bilinear, to image_size; normalization is inside",
            # As Pillow does it: without, large photos alias, and accuracy is lost.
            "antialias": True,
            "orientation": "EXIF applied",
            "alpha": "over white",
        },
        "temperature": audited.get("temperature", 1.0),
        "routing": {key: routing[key] for key in ("threshold", "validation", "test") if routing},
        "reference": audited.get("reference"),
        "digests": digests,
        "recipe": report["recipe"],
        "target": report["target"],
        "edgedistill": report["edgedistill"],
        "created": report["created"],
        "machine": report["machine"],
        "measurements": [_measured(row) for row in report["measurements"]],
        "contract": report["contract"],
    }


def _texts(result: Result) -> dict[str, Any] | None:
    """What images are compared with: the captions, as `texts.npy` places them, by label."""
    if result.recipe.task != "retrieval":
        return None
    return {"file": TEXTS, **result.artifacts["teacher"].json("texts.json")}


def _measured(row: dict[str, Any]) -> dict[str, Any]:
    """Figures with how and where; the raw samples are in report.json."""
    figures = {
        name: {key: value for key, value in asdict(measurement).items() if key != "samples"}
        for name, measurement in measurements(row).items()
    }
    named = {key: row[key] for key in ("model", "runtime", "precision", "file", "threads")}
    return {**named, **figures}
