"""Hold the result against its contract: every line is `ok`, `missed` or `not measured`."""

from __future__ import annotations

from collections.abc import Sequence

from edgedistill.devices.left_over import left_over, named, share_of
from edgedistill.program import MAIN
from edgedistill.recipe import Contract, Recipe
from edgedistill.records import ContractLine, CountRow, MeasurementRow, ReportRecord, Status
from edgedistill.records.recognition import RecognitionReport
from edgedistill.report.stage_costs import worst_stage
from edgedistill.target import Target


def contract(recipe: Recipe, target: Target, report: ReportRecord) -> list[ContractLine]:
    """One line for each promise, of the recipe or of the target's budget (the tighter counts).

    Latency and memory are those of the target's device where one was measured, else this machine's
    where that is the target; otherwise they stay `not measured`.
    """
    asked, budget, reached = recipe.contract, target.budget, report.summary
    audited = report.audited
    timed = timed_on_target(report)
    told = _told(target, report, timed)
    lines = [
        line_of("quality drop", reached.quality_drop, asked.max_drop, "points"),
        line_of("quality kept", reached.retention, asked.min_retention, "of the teacher's",
              at_least=True),
        line_of("size", reached.size_kb, _tighter(asked.max_size_kb, budget.size_kb), "KB"),
        line_of("MACs", reached.macs, asked.max_macs, "M"),
        line_of("padded MACs", reached.padded_macs, asked.max_padded_macs, "M",
              f"{target.name} does not say in which blocks its kernels compute"
              if target.kernel is None else ""),
        line_of("latency", timed.p50_ms if timed else None,
              _tighter(asked.max_latency_ms, budget.latency_ms), "ms", told),
        _stages(asked, report, told),
        line_of("memory", timed.peak_memory_mb if timed else None,
              _tighter(asked.max_memory_mb, budget.memory_mb), "MB", told),
        line_of("worst class", audited.worst_class, asked.min_worst_class,
              "of the teacher's", audited.worst_class_name or "", at_least=True),
        line_of("calibration error", audited.calibration_error,
              asked.max_calibration_error, "%"),
        line_of("copied errors", audited.copied_errors, asked.max_copied_errors,
              "of the teacher's"),
        line_of("robustness", audited.robustness, asked.min_robustness,
              "of clean accuracy", at_least=True),
        *_heard(asked, report, told),
        _delegation(report) if target.require_full_delegation else None,
        _parity(report),
    ]  # fmt: skip
    return [line for line in lines if line is not None]


def _stages(asked: Contract, report: ReportRecord, told: str) -> ContractLine | None:
    """That no stage made the device's cost worse."""
    ratio, which = worst_stage(report) or (None, told)
    return line_of("cost of a stage", ratio, asked.max_stage_cost, "of what it was before", which)


def _heard(asked: Contract, report: ReportRecord, told: str) -> list[ContractLine | None]:
    """What a stream promises, of the test set's long audio, and of its step's time."""
    found = report.listened
    heard = found.test.all if found else None
    timed = timed_on_target(report, found.program, found.file) if found else None
    interval = false = ""
    if heard is not None and heard.misses_interval is not None:
        low, high = heard.misses_interval
        interval = f"{heard.missed} of {heard.said}; 95 % interval {low:.3g} to {high:.3g} %"
    if found is not None and heard is not None:
        low, high = heard.false_accepts_interval
        false = (
            f"{heard.false_accepts} in {found.test.hours:.3g} h without a keyword; 95 % interval "
            f"{low:.3g} to {high:.3g} an hour"
        )
    return [
        line_of("misses", heard.misses if heard else None, asked.max_misses, "%", interval),
        line_of("false accepts", heard.false_accepts_per_hour if heard else None,
              asked.max_false_accepts_per_hour, "an hour", false),
        line_of("hop", timed.p50_ms if timed else None, asked.max_hop_ms, "ms", told),
    ]  # fmt: skip


def _tighter(first: float | None, second: float | None) -> float | None:
    return min((limit for limit in (first, second) if limit is not None), default=None)


def timed_on_target(
    report: ReportRecord, program: str = MAIN, file: str | None = None
) -> MeasurementRow | None:
    """The times of a file's program, by default of the file that ships, where they are the
    target's; else None."""
    if report.on_device is not None:
        rows = report.on_device.times
    else:
        rows = report.measurements if report.measured_on_target else ()
    return _timed(rows, file or report.summary.file, program)


def _timed(rows: Sequence[MeasurementRow], file: str, program: str) -> MeasurementRow | None:
    key = "student", file, program
    return next((row for row in rows if (row.model, row.file, row.program) == key), None)


def _delegation(report: ReportRecord) -> ContractLine | None:
    """The operators of the shipped file that no delegate took: on the target's device, else on this
    machine, where the same delegate decides by the same rules."""
    there = report.on_device
    rows: tuple[MeasurementRow | CountRow, ...]
    rows = (*there.times, *there.counts) if there is not None else ()
    row = _of_shipped(rows, report) or _timed(report.measurements, report.summary.file, MAIN)
    if row is None or not row.operators:
        return line_of("delegation", None, 0.0, "operators", "nothing tells what ran its operators")
    left = [each for each in left_over(row.operators) if each.kind == "undelegated"]
    if not left:
        return line_of("delegation", 0.0, 0.0, "operators")
    (found,) = left
    told = named(found) + (f"; {share_of(found)}" if found.of else "")
    return line_of("delegation", float(len(found.operators)), 0.0, "operators", told)


def _of_shipped(
    rows: Sequence[MeasurementRow | CountRow], report: ReportRecord
) -> MeasurementRow | CountRow | None:
    key = report.summary.file, MAIN
    return next((row for row in rows if (row.file, row.program) == key), None)


def _told(target: Target, report: ReportRecord, timed: MeasurementRow | None) -> str:
    """Where times come from, or why there are none."""
    if timed is not None:
        return "" if timed.device == "local" else f"{timed.device}: {timed.where}"
    if report.on_device is None:
        return f"this machine is not {target.name}; `--device` measures on one that is"
    if report.on_device.how == "emulated":
        return f"{report.on_device.device} counts instructions, and tells no times"
    return f"{report.on_device.device} does not run {report.summary.runtime}"


def line_of(
    name: str,
    value: float | None,
    limit: float | None,
    unit: str,
    note: str = "",
    at_least: bool = False,
) -> ContractLine | None:
    """A promise held against what was reached; None where nothing is promised."""
    if limit is None:
        return None
    status: Status = "not measured"
    if value is None:
        note = note or "no stage measured it"
    else:
        status = "ok" if (value >= limit if at_least else value <= limit) else "missed"
    return ContractLine(
        name=name, limit=limit, at_least=at_least, value=value, unit=unit, status=status, note=note
    )


def limit_of(line: ContractLine) -> str:
    """What a contract line promises."""
    if line.limit is None:
        return "as the torch graph"
    return f"at {'least' if line.at_least else 'most'} {line.limit:g} {line.unit}"


def reached_by(line: ContractLine) -> str:
    """What was measured, to four significant digits; empty where nothing was."""
    return "" if line.value is None else f"{line.value:.4g}"


def _parity(report: ReportRecord) -> ContractLine:
    """Whether every file follows the torch graph; promised without being asked for."""
    drifted = [row.file for row in report.files if row.parity is False]
    unchecked = [row.file for row in report.files if row.parity is None]
    explained = [f"{row.file}: {row.cause}" for row in report.files if row.cause]
    status: Status = "not measured" if unchecked else "ok"
    return ContractLine(
        name="parity", limit=None, at_least=False, value=None, unit="",
        status="missed" if drifted or report.verified is False else status,
        note=", ".join(drifted or unchecked or explained),
    )  # fmt: skip


def verdict(report: ReportRecord | RecognitionReport) -> str:
    """The contract in a few words: kept, missed, or what of it nobody measured."""
    if not report.ok:
        return "contract missed"
    open_ = [line.name for line in report.contract if line.status == "not measured"]
    if not open_:
        return "contract kept"
    if len(open_) == len(report.contract):
        return "contract not measured"
    return f"contract kept as far as measured; not measured: {', '.join(open_)}"
