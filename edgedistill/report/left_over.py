"""What a better file would not have run, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from edgedistill.devices.left_over import in_words
from edgedistill.program import MAIN
from edgedistill.records import CountRow, MeasurementRow, ReportRecord

TITLE = "What a better file would not have"


def sentences(report: ReportRecord, shipped: bool = False) -> list[str]:
    """A sentence for each exported file that has such operators, or for the one that ships alone:
    on the target's device where one was there, else here."""
    there = report.on_device
    rows: Sequence[MeasurementRow | CountRow]
    rows = report.measurements if there is None else (*there.times, *there.counts)
    return [
        f"{row.file} on {row.device}: {'; '.join(map(in_words, row.left))}."
        for row in rows
        if row.left and row.program == MAIN and row.file is not None
        and (not shipped or row.file == report.summary.file)
    ]  # fmt: skip
