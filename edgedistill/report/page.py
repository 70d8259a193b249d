"""report.html: one file, no request to anywhere, readable on paper and in the dark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgedistill.report.audit import ordered
from edgedistill.report.contract import verdict
from edgedistill.report.terminal import (
    headline,
    limit_of,
    milliseconds,
    number,
    parity_of,
    reached_by,
)
from edgedistill.report.warnings import grouped

_OPERATORS_SHOWN = _LAYERS_SHOWN = 12


def write_html(report: dict[str, Any], path: Path) -> None:
    """Write a report (of `build_report`) as a self-contained page."""
    path.write_text(page(report), encoding="utf-8")


def page(report: dict[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        number=number,
        ms=milliseconds,
        limit=limit_of,
        reached=reached_by,
        percent=_percent,
        parity=parity_of,
    )
    rendered: str = environment.get_template("page.html.j2").render(
        report=report,
        students=_students(report["audit"]),
        headline=headline(report),
        verdict=verdict(report),
        warnings=grouped(report["warnings"]),
        latencies=_bars(report),
        spread=_spread(report),
        operators=_operators(report),
        layers_shown=_LAYERS_SHOWN,
        recipe=json.dumps(report["recipe"], indent=2),
    )
    return rendered


def _students(audit: dict[str, Any] | None) -> dict[str, Any]:
    return ordered(audit["students"], audit["order"]) if audit else {}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


_WHO = {"teacher": "teacher, ", "distill": "before pruning, ", "student": ""}


def _named(row: dict[str, Any]) -> str:
    return f"{_WHO[row['model']]}{row['runtime']} {row['precision']}"


def _bars(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Latencies as bars, slowest first; widths in percent of the slowest."""
    rows = sorted(report["measurements"], key=lambda row: -row["p50_ms"])
    longest = max((row["p50_ms"] for row in rows), default=1)
    shipped = report["summary"]["file"]
    return [
        {
            "name": _named(row),
            "p50_ms": row["p50_ms"],
            "width": max(100 * row["p50_ms"] / longest, 0.4),
            "tone": "student" if row["model"] == "student" else "other",
            "shipped": row["model"] == "student" and row["file"] == shipped,
        }
        for row in rows
    ]


def _spread(report: dict[str, Any]) -> dict[str, Any] | None:
    """All runs of the shipped file as points of a drawing 600 wide and 120 high, in order. What
    took more than twice the 99th percentile is drawn at the top."""
    shipped = report["summary"]["file"]
    row = next((row for row in report["measurements"] if row["file"] == shipped), None)
    if row is None:
        return None
    samples = row["samples_ms"]
    top = max(1.15 * row["p99_ms"], min(2 * row["p99_ms"], max(samples)))

    def height(value: float) -> float:
        return float(120 - 116 * min(value, top) / top)

    step = 600 / max(len(samples) - 1, 1)
    lines: list[dict[str, Any]] = []
    for name in ("p50", "p90", "p99"):
        y = height(row[f"{name}_ms"])
        text = min(y + 3, lines[-1]["text"] - 12) if lines else y + 3
        lines.append({"name": name, "y": y, "text": text, "ms": row[f"{name}_ms"]})
    points = [(step * place, height(sample)) for place, sample in enumerate(samples)]
    return {"file": shipped, "points": points, "lines": lines, "count": len(samples), "top": top}


def _operators(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The operators of the shipped file that take the longest; without times, the first ones."""
    shipped = report["summary"]["file"]
    measured = (row for row in report["measurements"] if row["file"] == shipped)
    found: list[dict[str, Any]] = next((row["operators"] for row in measured), [])
    return sorted(found, key=lambda row: -(row.get("microseconds") or 0))[:_OPERATORS_SHOWN]
