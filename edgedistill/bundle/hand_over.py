"""What a compile made, handed over as a bundle, whichever kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.manifest import PAGE
from edgedistill.bundle.write import write_bundle
from edgedistill.bundle.write_recognizer import Compiled, write_recognizer
from edgedistill.recipe import TranscriptionRecipe
from edgedistill.records import as_json
from edgedistill.records.recognizer import VOCABULARY, RecognizerRecord
from edgedistill.report.recognition import build_recognition
from edgedistill.report.recognition_page import recognition_page

if TYPE_CHECKING:
    from edgedistill.pipeline import Result


def hand_over(result: Result, out: Path) -> Bundle:
    """Put what a compile made for one target into the folder `out`; an older bundle there is
    replaced whole. Raises UserError: as `write_bundle` does."""
    if not isinstance(result.recipe, TranscriptionRecipe):
        return write_bundle(result, out)
    report = build_recognition(result.recipe, result.target, result.artifacts)
    export = result.artifacts["export"]
    record = RecognizerRecord.read(export)
    figures = as_json(report.recognized)
    compiled = Compiled(
        name=report.name, ok=report.ok, shipped=report.shipped, recipe=report.recipe,
        target=report.target, edgedistill=report.edgedistill, created=report.created,
        machine=report.machine, contract=report.contract,
        figures={name: figures[name] for name in ("teacher", "files")},
    )  # fmt: skip
    files, audit = export.file("files"), result.artifacts["audit"]
    cases = report.audited.cases if report.audited else ()
    sounds = {each.sound: audit.file(each.sound).read_bytes() for each in cases if each.sound}

    def write_reports(folder: Path) -> None:
        report.write(folder)
        (folder / PAGE).write_text(recognition_page(report, sounds), encoding="utf-8")

    return write_recognizer(files, files / VOCABULARY, record, compiled, out, write_reports)
