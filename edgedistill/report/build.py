"""The report as one JSON value, from what the stages left behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import edgedistill
from edgedistill.devices import is_machine, machine
from edgedistill.models.work import padded_of
from edgedistill.plan import model_steps
from edgedistill.report.contract import contract
from edgedistill.report.warnings import warnings

if TYPE_CHECKING:
    from edgedistill.pipeline import Result
    from edgedistill.target import Target


def build_report(result: Result) -> dict[str, Any]:
    """The report of one target's compile.

    Quality is the task's metric in percent, sizes in KB of 1,000 bytes, MACs in millions,
    parameters in thousands, times in milliseconds, memory in 10^6 bytes. A figure nobody measured
    is None.
    """
    measured = _measured(result)
    here = machine()
    on_target = is_machine(result.target, here)
    files = _files(result, measured, on_target)
    shipped = next(row for row in files if row["shipped"])
    stages = _stages(result, files, measured)
    audit = result.artifacts.get("audit")
    report: dict[str, Any] = {
        "edgedistill": edgedistill.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": result.recipe.name,
        "recipe": result.recipe.model_dump(mode="json"),
        "target": result.target.model_dump(mode="json"),
        "machine": here,
        "measured_on_target": on_target,
        "where": _where(result, measured, on_target),
        "data": result.artifacts["data"].metrics,
        "summary": _summary(stages, shipped, _teacher_row(measured, result.target.primary),
                            _metric(result)),
        "stages": stages,
        "files": files,
        "verified": _verify(result).get("ok"),
        "measurements": measured,
        "audited": audit.metrics if audit else {},
        "audit": audit.json("audit.json") if audit else None,
        "judged": _judged(result),
        "searched": _searched(result),
        "quantized": _quantized(result),
    }  # fmt: skip
    report["contract"] = contract(result.recipe, result.target, report)
    report["warnings"] = warnings(result, report)
    report["ok"] = all(line["status"] != "missed" for line in report["contract"])
    return report


def _metric(result: Result) -> str:
    from edgedistill.tasks import TASKS

    return TASKS[result.recipe.task].metric


def _judged(result: Result) -> dict[str, Any] | None:
    """What the teacher's answers were found to be worth; None where nobody learned from them."""
    if "judge" not in result.artifacts:
        return None
    found: dict[str, Any] = result.artifacts["judge"].json("judge.json")
    return found


def _searched(result: Result) -> dict[str, Any] | None:
    """What was found best for the student's losses, and the curve of every trial."""
    if "search" not in result.artifacts:
        return None
    found: dict[str, Any] = result.artifacts["search"].json("search.json")
    return found


def _quantized(result: Result) -> dict[str, Any] | None:
    """The layers that were left in float, and what rounding each alone costs, dearest first."""
    if result.recipe.stages.quantize is None:
        return None
    found = result.artifacts["quantize"].json("quantize.json")
    return {key: found[key] for key in ("method", "kept_in_float", "sensitivity")}


def _verify(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = result.artifacts["verify"].json("verify.json")
    return found


def _measured(result: Result) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = result.artifacts["benchmark"].json("measurements.json")
    return rows


def _where(result: Result, measured: list[dict[str, Any]], on_target: bool) -> str:
    """One sentence on where latency and memory come from."""
    place = next((row["where"] for row in measured), "no machine")
    note = "a machine of the target's kind" if on_target else f"not on {result.target.name}"
    return f"measured on {place}; {note}"


def _files(result: Result, measured: list[dict[str, Any]], on_target: bool) -> list[dict[str, Any]]:
    """One row for each exported file: quality, parity, size, speed, memory."""
    parity = {row["file"]: row for row in _verify(result)["rows"]}
    speed = {row["file"]: row for row in measured if row["model"] == "student"}
    teacher = _teacher_row(measured, result.target.primary)
    rows = []
    for entry in result.artifacts["export"].json("export.json")["files"]:
        checked, timed = parity.get(entry["file"], {}), speed.get(entry["file"], {})
        row = {key: entry[key] for key in ("runtime", "precision", "file", "executed",
                                           "float_counts")}  # fmt: skip
        row["size_kb"] = entry["bytes"] / 1000
        for key in ("quality", "agreement", "within_step", "max_steps", "mean_steps",
                    "first_diverging", "cause", "verdict"):  # fmt: skip
            row[key] = checked.get(key)
        row["parity"] = checked.get("ok")
        row |= _quality_there(result, row, on_target)
        for key in ("p50_ms", "p90_ms", "p99_ms", "cold_load_ms", "warm_load_ms",
                    "peak_memory_mb", "where"):  # fmt: skip
            row[key] = timed.get(key)
        row["faster_than_teacher"] = _ratio(teacher.get("p50_ms"), row["p50_ms"])
        rows.append(row)
    shipped = _shipped(rows, result.target.primary)
    return [{**row, "shipped": row is shipped} for row in rows]


def _quality_there(result: Result, row: dict[str, Any], on_target: bool) -> dict[str, Any]:
    """A right file's quality where this machine's kernels stray and the target is another: the
    torch graph's. `quality_here` is what was measured then, else None."""
    if row["cause"] != "this machine's kernels" or on_target:
        return {"quality_here": None}
    kind = "int8" if row["precision"] == "int8" else "float"
    return {"quality": _verify(result)["torch"][kind], "quality_here": row["quality"]}


def _shipped(rows: list[dict[str, Any]], primary: str) -> dict[str, Any]:
    """The file that the contract is held against: the primary runtime's, as small as it comes."""
    order = ("int8", "fp16", "fp32")
    own = [row for row in rows if row["runtime"] == primary] or rows
    return min(own, key=lambda row: order.index(row["precision"]))


def _teacher_row(measured: list[dict[str, Any]], primary: str) -> dict[str, Any]:
    """The teacher as the primary runtime runs it, else as torch does."""
    rows = [row for row in measured if row["model"] == "teacher"]
    return next((row for row in rows if row["runtime"] == primary), rows[0] if rows else {})


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None


def _stages(
    result: Result, files: list[dict[str, Any]], measured: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What each stage that touches the model did."""
    tested = _verify(result).get("torch", {})
    rows: list[dict[str, Any]] = []
    for name in model_steps(result.recipe):
        artifact = result.artifacts[name]
        weights = artifact.file("model/weights.safetensors")
        size = weights.stat().st_size / 1000 if weights.exists() else None
        rows.append({**_stage(name, artifact.metrics), "test_quality": tested.get(name),
                     "padded_macs": _padded(artifact.metrics, result.target),
                     "size_kb": size, "size_of": "weights, float"})  # fmt: skip
    _time_floats(rows, files, measured, result.target.primary)
    shape = {key: rows[-1][key] for key in ("macs", "padded_macs", "params")}
    shipped = next(row for row in files if row["shipped"])
    speed = {key: shipped[key] for key in ("size_kb", "p50_ms", "where")}
    if result.recipe.stages.quantize is not None:
        row = _stage("quantize", result.artifacts["quantize"].metrics)
        rows.append({**row, **shape, "test_quality": tested.get("int8"), "size_kb": None})
    rows.append({**_stage("export", result.artifacts["export"].metrics), **shape, **speed,
                 "test_quality": shipped["quality"],
                 "size_of": shipped["file"]})  # fmt: skip
    return rows


def _padded(metrics: dict[str, Any], target: Target) -> float | None:
    """Millions of multiply-accumulates as the target's kernels compute them, where that is known
    of both."""
    if target.kernel is None or metrics.get("products") is None:
        return None
    return padded_of(metrics["products"], target.kernel) / 1e6


def _stage(name: str, metrics: dict[str, Any]) -> dict[str, Any]:
    keys = ("validation_quality", "macs", "params", "seconds", "images_per_second", "notes")
    empty = {"test_quality": None, "size_kb": None, "p50_ms": None, "where": None}
    return {"stage": name, **empty, **{key: metrics.get(key) for key in keys}}


def _time_floats(
    rows: list[dict[str, Any]],
    files: list[dict[str, Any]],
    measured: list[dict[str, Any]],
    primary: str,
) -> None:
    """Put latencies of fp32 files beside the stages whose models they hold."""
    final = [row for row in files if (row["runtime"], row["precision"]) == (primary, "fp32")]
    for row in rows:
        timed = [each for each in measured if each["model"] == row["stage"]]
        timed = [each for each in timed if each["runtime"] == primary] or timed
        if row is rows[-1]:
            timed = final
        if timed:
            row["p50_ms"], row["where"] = timed[0]["p50_ms"], timed[0]["where"]


def _summary(
    stages: list[dict[str, Any]],
    shipped: dict[str, Any],
    timed_teacher: dict[str, Any],
    metric: str,
) -> dict[str, Any]:
    teacher = stages[0]
    quality, reference = shipped["quality"], teacher["test_quality"]
    both = quality is not None and reference is not None
    return {
        "file": shipped["file"],
        "runtime": shipped["runtime"],
        "precision": shipped["precision"],
        "metric": metric,
        "quality": quality,
        "teacher_quality": reference,
        "quality_drop": reference - quality if both else None,
        "retention": quality / reference if both and reference else None,
        "size_kb": shipped["size_kb"],
        "macs": stages[-1]["macs"],
        "padded_macs": stages[-1]["padded_macs"],
        "params": stages[-1]["params"],
        "p50_ms": shipped["p50_ms"],
        "peak_memory_mb": shipped["peak_memory_mb"],
        "smaller_than_teacher": _ratio(teacher["size_kb"], shipped["size_kb"]),
        "faster_than_teacher": shipped["faster_than_teacher"],
        "teacher_runtime": timed_teacher.get("runtime"),
    }
