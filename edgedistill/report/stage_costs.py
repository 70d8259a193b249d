"""What the device takes after a stage, beside what it took before."""

from __future__ import annotations

from edgedistill.program import MAIN
from edgedistill.records import ReportRecord


def worst_stage(report: ReportRecord) -> tuple[float, str] | None:
    """The largest ratio of what the shipped file, or the student it was made of, takes after a
    stage to what it took before, and in words which; None where the target was not measured."""
    found = [*_quantized(report), *_pruned(report)]
    return max(found, default=None)


def _quantized(report: ReportRecord) -> list[tuple[float, str]]:
    """The shipped file against the one in float of its runtime."""
    if report.on_device is None and not report.measured_on_target:
        return []
    shipped = report.summary
    _, unit, costs = device_costs(report)
    after = costs.get((shipped.runtime, shipped.precision, shipped.file))
    before = [cost for (runtime, precision, _), cost in costs.items()
              if (runtime, precision) == (shipped.runtime, "fp32")]  # fmt: skip
    if after is None or not before or shipped.precision == "fp32":
        return []
    return [(after / before[0], f"{shipped.precision}: {after:.3g} against {before[0]:.3g} {unit}")]


def _pruned(report: ReportRecord) -> list[tuple[float, str]]:
    """The pruned student in float against the one before; this machine alone times both."""
    times = {row.stage: row.p50_ms for row in report.stages}
    before, after = times.get("distill"), times.get("prune")
    if not report.measured_on_target or before is None or after is None:
        return []
    return [(after / before, f"prune: {after:.3g} against {before:.3g} ms")]


def device_costs(report: ReportRecord) -> tuple[str, str, dict[tuple[str, str, str], float]]:
    """Where an inference of each file, by runtime, precision and name, costs how much of what: on
    the target's device, where one was there; else here, and where that is not the target, it is
    said."""
    there = report.on_device
    rows = report.measurements if there is None else there.times
    costs = {
        (row.runtime, row.precision, row.file): row.p50_ms
        for row in rows
        if row.model == "student" and row.file is not None and row.program == MAIN
    }
    if there is None:
        other = "" if report.measured_on_target else f", which is not {report.target['name']}"
        return f"this machine{other}", "ms", costs
    counted = {
        (row.runtime, row.precision, row.file): row.instructions["all"]
        for row in there.counts
        if row.program == MAIN
    }
    return there.device, "instructions" if counted else "ms", counted or costs
