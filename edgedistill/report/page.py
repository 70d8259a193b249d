"""report.html: one file, no request to anywhere, readable on paper and in the dark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgedistill.program import MAIN
from edgedistill.records import (
    AuditRecord,
    ListenRecord,
    MeasurementRow,
    OnDevice,
    OperatorRow,
    ReportRecord,
)
from edgedistill.records.audit import StudentAudit
from edgedistill.report import advice, device, left_over, listening
from edgedistill.report.audit import ordered
from edgedistill.report.contract import verdict
from edgedistill.report.templates import environment_of_pages
from edgedistill.report.terminal import furthest, headline, parity_of, step_ms
from edgedistill.report.warnings import grouped

_OPERATORS_SHOWN = _LAYERS_SHOWN = 12


def write_html(report: ReportRecord, path: Path, sounds: Mapping[str, bytes] = {}) -> None:
    """Write a report (of `build_report`) as a self-contained page; sounds: the WAV files that it
    names, by their names."""
    path.write_text(page(report, sounds), encoding="utf-8")


def page(report: ReportRecord, sounds: Mapping[str, bytes] = {}) -> str:
    """The whole page as HTML; what comes from a report is escaped."""
    environment = environment_of_pages()
    environment.globals.update(
        step_ms=step_ms, heard=listening.HEADER, wide=listening.WIDTH, high=listening.HEIGHT
    )
    environment.filters.update(furthest=furthest, percent=_percent, parity=parity_of)
    rendered: str = environment.get_template("page.html.j2").render(
        report=report,
        students=_students(report.audit),
        headline=headline(report),
        verdict=verdict(report),
        warnings=grouped(report.warnings),
        latencies=_bars(report),
        spread=_spread(report),
        operators=_operators(report),
        device=_device(report.on_device),
        advice=advice.shown(report),
        advice_title=advice.TITLE,
        no_advice=advice.NONE,
        left_title=left_over.TITLE,
        left=left_over.sentences(report),
        listened=_listened(report.listened, sounds),
        layers_shown=_LAYERS_SHOWN,
        recipe=json.dumps(report.recipe, indent=2),
    )
    return rendered


@dataclass(frozen=True)
class _Device:
    """A table of what a device told."""

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]


def _device(told: OnDevice | None) -> _Device | None:
    if told is None:
        return None
    return _Device(device.title(told), device.note(told), *device.table(told))


@dataclass(frozen=True)
class _Listened:
    """What is heard in long audio."""

    title: str
    note: str
    rows: list[list[str]]
    drawing: listening.Drawing
    cases: list[listening.Playable]


def _listened(told: ListenRecord | None, sounds: Mapping[str, bytes]) -> _Listened | None:
    if told is None:
        return None
    return _Listened(
        listening.title(told), listening.note(told), list(listening.rows(told)),
        listening.drawing(told), listening.playable(told.cases, sounds),
    )  # fmt: skip


def _students(audit: AuditRecord | None) -> dict[str, StudentAudit]:
    return ordered(audit.students, audit.order) if audit else {}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


_WHO = {"teacher": "teacher, ", "distill": "before pruning, ", "student": ""}


def _named(row: MeasurementRow) -> str:
    name = f"{_WHO[row.model]}{row.runtime} {row.precision}"
    return name if row.program == MAIN else f"{name}, {row.program}"


@dataclass(frozen=True)
class _Bar:
    """The latency of one file, as a part of the longest."""

    name: str
    p50_ms: float
    width: float
    """In percent of the slowest."""
    tone: str
    shipped: bool


def _bars(report: ReportRecord) -> list[_Bar]:
    """Latencies, slowest first."""
    rows = sorted(report.measurements, key=lambda row: -row.p50_ms)
    longest = max((row.p50_ms for row in rows), default=1)
    shipped = report.summary.file
    return [
        _Bar(
            name=_named(row),
            p50_ms=row.p50_ms,
            width=max(100 * row.p50_ms / longest, 0.4),
            tone="student" if row.model == "student" else "other",
            shipped=row.model == "student" and (row.file, row.program) == (shipped, MAIN),
        )
        for row in rows
    ]


@dataclass(frozen=True)
class _Line:
    """A percentile, at the height `y`, and its label at the height `text`."""

    name: str
    y: float
    text: float
    ms: float


@dataclass(frozen=True)
class _Spread:
    """All runs of a file as points of a drawing 600 wide and 120 high, in order."""

    file: str
    points: list[tuple[float, float]]
    lines: list[_Line]
    count: int
    top: float
    """Milliseconds at its upper edge."""


def _spread(report: ReportRecord) -> _Spread | None:
    """Of the shipped file. What took more than twice the 99th percentile is drawn at the top."""
    row = _shipped(report)
    if row is None:
        return None
    samples = row.samples_ms
    top = max(1.15 * row.p99_ms, min(2 * row.p99_ms, max(samples)))

    def height(value: float) -> float:
        return float(120 - 116 * min(value, top) / top)

    step = 600 / max(len(samples) - 1, 1)
    lines: list[_Line] = []
    for name, value in (("p50", row.p50_ms), ("p90", row.p90_ms), ("p99", row.p99_ms)):
        y = height(value)
        text = min(y + 3, lines[-1].text - 12) if lines else y + 3
        lines.append(_Line(name, y, text, value))
    points = [(step * place, height(sample)) for place, sample in enumerate(samples)]
    return _Spread(report.summary.file, points, lines, len(samples), top)


def _shipped(report: ReportRecord) -> MeasurementRow | None:
    key = report.summary.file, MAIN
    return next((row for row in report.measurements if (row.file, row.program) == key), None)


def _operators(report: ReportRecord) -> list[OperatorRow]:
    """The operators of the shipped file that take the longest; without times, the first ones."""
    row = _shipped(report)
    found = row.operators if row else ()
    return sorted(found, key=lambda each: -(each.microseconds or 0))[:_OPERATORS_SHOWN]
