"""The report's rows of exported files: quality, parity, size, speed, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgedistill.program import MAIN
from edgedistill.records import (
    ExportRecord,
    FileEntry,
    FileRow,
    MeasurementRow,
    VerifyRecord,
)

if TYPE_CHECKING:
    from edgedistill.pipeline import Result


def file_rows(
    result: Result, verified: VerifyRecord, measured: Sequence[MeasurementRow], on_target: bool
) -> tuple[FileRow, ...]:
    """A row for each exported file, in the order of the export."""
    rows = [
        _file(entry, verified, measured, result.target.primary, on_target)
        for entry in ExportRecord.read(result.artifacts["export"]).main
    ]
    shipped = _shipped(rows, result.target.primary)
    return tuple(replace(row, shipped=row is shipped) for row in rows)


def _file(
    entry: FileEntry,
    verified: VerifyRecord,
    measured: Sequence[MeasurementRow],
    primary: str,
    on_target: bool,
) -> FileRow:
    row = FileRow(
        runtime=entry.runtime,
        precision=entry.precision,
        file=entry.file,
        shipped=False,
        size_kb=entry.bytes / 1000,
        executed=entry.executed,
        float_counts=entry.float_counts,
        integers=entry.integers,
        oldest=entry.oldest,
    )
    return _timed(_checked(row, verified, on_target), measured, primary)


def _checked(row: FileRow, verified: VerifyRecord, on_target: bool) -> FileRow:
    """With what `verify` says of it. Where this machine's kernels stray and the target is another,
    a right file's quality is the torch graph's, and `quality_here` what was measured."""
    found = next((each for each in verified.rows if each.file == row.file), None)
    if found is None:
        return row
    strays = found.cause == "this machine's kernels" and not on_target
    graph = verified.torch.get("int8" if row.precision == "int8" else "float")
    return replace(
        row,
        quality=graph if strays else found.quality,
        quality_here=found.quality if strays else None,
        parity=found.ok,
        agreement=found.agreement,
        within_step=found.within_step,
        max_steps=found.max_steps,
        mean_steps=found.mean_steps,
        first_diverging=found.first_diverging,
        cause=found.cause,
        verdict=found.verdict,
    )


def _timed(row: FileRow, measured: Sequence[MeasurementRow], primary: str) -> FileRow:
    key = "student", row.file, MAIN
    own = (each for each in measured if (each.model, each.file, each.program) == key)
    found, teacher = next(own, None), teacher_row(measured, primary)
    if found is None:
        return row
    return replace(
        row,
        p50_ms=found.p50_ms,
        p90_ms=found.p90_ms,
        p99_ms=found.p99_ms,
        cold_load_ms=found.cold_load_ms,
        warm_load_ms=found.warm_load_ms,
        peak_memory_mb=found.peak_memory_mb,
        where=found.where,
        faster_than_teacher=ratio(teacher.p50_ms if teacher else None, found.p50_ms),
    )


def _shipped(rows: Sequence[FileRow], primary: str) -> FileRow:
    """The primary runtime's file, as small as it comes."""
    order = ("int8", "fp16", "fp32")
    own = [row for row in rows if row.runtime == primary] or rows
    return min(own, key=lambda row: order.index(row.precision))


def teacher_row(measured: Sequence[MeasurementRow], primary: str) -> MeasurementRow | None:
    """The teacher as the primary runtime runs it, else as torch does."""
    rows = [row for row in measured if row.model == "teacher"]
    return next((row for row in rows if row.runtime == primary), rows[0] if rows else None)


def ratio(above: float | None, below: float | None) -> float | None:
    """None where one of them is unknown, or nothing."""
    return above / below if above and below else None


def shipped_of(files: Sequence[FileRow]) -> FileRow:
    """The file that the contract is held against."""
    return next(row for row in files if row.shipped)
