"""Hold the result against its contract: every line is `ok`, `missed` or `not measured`."""

from __future__ import annotations

from edgedistill.recipe import Recipe
from edgedistill.records import ContractLine, ReportRecord, Status
from edgedistill.target import Target


def contract(recipe: Recipe, target: Target, report: ReportRecord) -> list[ContractLine]:
    """One line for each promise, of the recipe or of the target's budget (the tighter counts).

    Latency and memory of a target that is not this machine stay `not measured`.
    """
    asked, budget, reached = recipe.contract, target.budget, report.summary
    audited = report.audited
    here = report.measured_on_target
    lines = [
        _line("quality drop", reached.quality_drop, asked.max_drop, "points"),
        _line("quality kept", reached.retention, asked.min_retention, "of the teacher's",
              at_least=True),
        _line("size", reached.size_kb, _tighter(asked.max_size_kb, budget.size_kb), "KB"),
        _line("MACs", reached.macs, asked.max_macs, "M"),
        _line("padded MACs", reached.padded_macs, asked.max_padded_macs, "M",
              f"{target.name} does not say in which blocks its kernels compute"
              if target.kernel is None else ""),
        _line("latency", reached.p50_ms if here else None,
              _tighter(asked.max_latency_ms, budget.latency_ms), "ms", _away(target, here)),
        _line("memory", reached.peak_memory_mb if here else None,
              _tighter(asked.max_memory_mb, budget.memory_mb), "MB", _away(target, here)),
        _line("worst class", audited.worst_class, asked.min_worst_class,
              "of the teacher's", audited.worst_class_name or "", at_least=True),
        _line("calibration error", audited.calibration_error,
              asked.max_calibration_error, "%"),
        _line("copied errors", audited.copied_errors, asked.max_copied_errors,
              "of the teacher's"),
        _line("robustness", audited.robustness, asked.min_robustness,
              "of clean accuracy", at_least=True),
        _parity(report),
    ]  # fmt: skip
    return [line for line in lines if line is not None]


def _tighter(first: float | None, second: float | None) -> float | None:
    return min((limit for limit in (first, second) if limit is not None), default=None)


def _away(target: Target, here: bool) -> str:
    return "" if here else f"this machine is not {target.name}"


def _line(
    name: str,
    value: float | None,
    limit: float | None,
    unit: str,
    note: str = "",
    at_least: bool = False,
) -> ContractLine | None:
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


def verdict(report: ReportRecord) -> str:
    """The contract in a few words: kept, missed, or what of it nobody measured."""
    if not report.ok:
        return "contract missed"
    open_ = [line.name for line in report.contract if line.status == "not measured"]
    if not open_:
        return "contract kept"
    if len(open_) == len(report.contract):
        return "contract not measured"
    return f"contract kept as far as measured; not measured: {', '.join(open_)}"
