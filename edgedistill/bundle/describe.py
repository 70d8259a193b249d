"""A compile as its bundle's manifest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgedistill.bundle.explain import listening_notes, notes
from edgedistill.bundle.manifest import (
    FORMAT,
    GOLDEN,
    BundledFile,
    BundledMeasurement,
    BundledProgram,
    BundledRouting,
    BundledTexts,
    Figure,
    Manifest,
    Preprocessing,
    Resizing,
)
from edgedistill.bundle.parts import BundledListening, BundledSound, Tried
from edgedistill.devices import measurements
from edgedistill.fields import Resize
from edgedistill.records import (
    AuditRecord,
    DataRecord,
    ExportRecord,
    FileEntry,
    ListenRecord,
    MeasurementRow,
    ReportRecord,
)
from edgedistill.tasks import TASKS

if TYPE_CHECKING:
    from edgedistill.pipeline import Result


def manifest_of(
    result: Result, report: ReportRecord, files: Sequence[BundledFile], digests: dict[str, str]
) -> Manifest:
    """What a bundle says of itself; files: each explained, digests: of all that an app needs."""
    task = TASKS[result.recipe.task]
    data = DataRecord.read(result.artifacts["data"])
    temperature = report.audit.temperature if report.audit else 1.0
    texts = task.described(result.artifacts["teacher"])
    return Manifest(
        bundle_format=FORMAT,
        name=result.recipe.name,
        ok=report.ok,
        shipped=report.summary.file,
        task=result.recipe.task,
        labels=data.labels,
        texts=None if texts is None else BundledTexts.model_validate_json(json.dumps(texts)),
        notes=notes(result.recipe.task, temperature, _kind(data)),
        files=tuple(files),
        programs=tuple(map(_program, ExportRecord.read(result.artifacts["export"]).others)),
        preprocessing=_preprocessing(data),
        sound=_sound(data),
        listening=_listening(report.listened),
        temperature=temperature,
        routing=_routing(report.audit),
        reference=report.audit.reference if report.audit else None,
        digests=digests,
        recipe=report.recipe,
        target=report.target,
        edgedistill=report.edgedistill,
        created=report.created,
        machine=report.machine,
        measurements=tuple(_measured(row) for row in report.measurements),
        contract=report.contract,
    )


def _kind(data: DataRecord) -> str:
    if data.sound is not None:
        return "sound"
    return "arrays" if data.pictures is None else "pictures"


def _program(entry: FileEntry) -> BundledProgram:
    place = f"{GOLDEN}/{entry.program}"
    return BundledProgram(
        runtime=entry.runtime,
        precision=entry.precision,
        file=entry.file,
        program=entry.program,
        signature=entry.signature,
        golden=f"{place}/inputs.npz",
        golden_outputs=f"{place}/outputs_{entry.file}.npz",
    )


def _routing(audit: AuditRecord | None) -> BundledRouting:
    found = audit.routing if audit else None
    if found is None:
        return BundledRouting()
    return BundledRouting(threshold=found.threshold, validation=found.validation, test=found.test)


def _preprocessing(data: DataRecord) -> Preprocessing | None:
    pictures = data.pictures
    if pictures is None:
        return None
    return Preprocessing(
        image_size=pictures.size,
        channels=1 if pictures.channels == 1 else 3,
        color="grey" if pictures.channels == 1 else "RGB",
        range=(0.0, 1.0),
        resize=resizing(pictures.resize),
        # As Pillow does it: without, large photos alias, and accuracy is lost.
        antialias=True,
        orientation="EXIF applied",
        alpha="over white",
    )


def _sound(data: DataRecord) -> BundledSound | None:
    form = data.sound
    if form is None:
        return None
    return BundledSound(rate=form.rate, samples=form.length, cut=form.cut)


def _listening(told: ListenRecord | None) -> BundledListening | None:
    if told is None:
        return None
    rule, tried = told.rule, told.test.all
    return BundledListening(
        program=told.program,
        input=told.input,
        rate=told.rate,
        hop=told.hop,
        lead_in=told.lead_in,
        smoothing=rule.smoothing,
        refractory=rule.refractory,
        refractory_ms=1000 * rule.refractory * told.hop / told.rate,
        thresholds=dict(zip(rule.keywords, rule.thresholds, strict=True)),
        test=Tried(
            hours=told.test.hours,
            said=tried.said,
            misses=tried.misses,
            misses_interval=tried.misses_interval,
            false_accepts_per_hour=tried.false_accepts_per_hour,
            false_accepts_interval=tried.false_accepts_interval,
        ),
        notes=listening_notes(told),
    )


_RESIZING = {
    "crop": "cut out the largest part in the middle that has image_size's proportions, not "
    "rounded to whole pixels, and scale it",
    "fit": "scale all of it to lie within image_size, sides rounded to the nearest pixel, and put "
    "it in the middle, an odd pixel to the right and below; pixels around it have the value "
    "`padding` of 255",
    "stretch": "scale all of it, whatever its proportions",
}


def resizing(how: Resize) -> Resizing:
    """How a picture is brought to its size, in words too."""
    from edgedistill.data.image.decode import PADDING

    return Resizing(
        how=how,
        notes=f"{_RESIZING[how]}; normalization is inside the model",
        filter="bilinear",
        padding=PADDING if how == "fit" else None,
    )


def _measured(row: MeasurementRow) -> BundledMeasurement:
    figures = {
        name: Figure(value=each.value, unit=each.unit, how=each.how, where=each.where)
        for name, each in measurements(row).items()
    }
    return BundledMeasurement(
        model=row.model,
        runtime=row.runtime,
        precision=row.precision,
        file=row.file,
        program=row.program,
        threads=row.threads,
        **figures,
    )
