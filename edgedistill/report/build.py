"""The report, from what the stages left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgedistill.advice import Facts, advised
from edgedistill.devices import is_machine, machine
from edgedistill.models.work import padded_of
from edgedistill.plan import model_steps
from edgedistill.recipe import of_labels
from edgedistill.records import (
    AuditMetrics,
    AuditRecord,
    DataMetrics,
    FileRow,
    JudgeRecord,
    ListenRecord,
    MeasurementRow,
    MeasurementsRecord,
    Quantized,
    QuantizeRecord,
    ReportRecord,
    StageMetrics,
    StageRow,
    Summary,
    VerifyRecord,
)
from edgedistill.report.contract import contract
from edgedistill.report.files import file_rows, ratio, shipped_of, teacher_row
from edgedistill.report.head import head
from edgedistill.report.stage_costs import device_costs
from edgedistill.report.warnings import warnings

if TYPE_CHECKING:
    from edgedistill.pipeline import Result
    from edgedistill.target import Target


def build_report(result: Result) -> ReportRecord:
    """The report of one target's compile."""
    here = machine()
    on_target = is_machine(result.target, here)
    measured = MeasurementsRecord.read(result.artifacts["benchmark"]).rows
    verified = VerifyRecord.read(result.artifacts["verify"])
    files = file_rows(result, verified, measured, on_target)
    stages = _stages(result, verified, files, measured)
    audit = result.artifacts.get("audit")
    report = ReportRecord(
        **head(result.recipe, result.target, here),
        measured_on_target=on_target,
        where=_where(result.target, measured, on_target),
        data=DataMetrics.read(result.artifacts["data"]),
        summary=_summary(result, stages, shipped_of(files), measured),
        stages=stages,
        files=files,
        verified=verified.ok,
        programs=verified.programs,
        measurements=measured,
        on_device=result.on_device,
        audited=AuditMetrics.read(audit) if audit else AuditMetrics(),
        audit=AuditRecord.read(audit) if audit else None,
        judged=_judged(result),
        listened=_listened(result),
        quantized=_quantized(result),
        contract=(),
        warnings=(),
        ok=True,
    )
    lines = tuple(contract(of_labels(result.recipe), result.target, report))
    report = replace(report, contract=lines, ok=all(line.status != "missed" for line in lines))
    return replace(
        report,
        warnings=tuple(warnings(result, report)),
        advised=advised(_facts(result, report)),
    )


def _facts(result: Result, report: ReportRecord) -> Facts:
    """What advice is given by: costs count where they are the target's."""
    told = report.on_device is not None or report.measured_on_target
    _, unit, costs = device_costs(report)
    return Facts(
        of_labels(result.recipe), result.target, report, result.what_if, costs if told else {},
        "instructions" if unit == "instructions" else "ms",
    )  # fmt: skip


def _judged(result: Result) -> JudgeRecord | None:
    judge = result.artifacts.get("judge")
    return JudgeRecord.read(judge) if judge else None


def _listened(result: Result) -> ListenRecord | None:
    listen = result.artifacts.get("listen")
    if listen is None or not (listen.path / ListenRecord.FILE).exists():
        return None  # a student without a step leaves none
    return ListenRecord.read(listen)


def _quantized(result: Result) -> Quantized | None:
    found = QuantizeRecord.read(result.artifacts["quantize"]).quantization
    if found is None:
        return None
    return Quantized(
        found.method, found.kept_in_float, found.sensitivity, found.techniques, found.ptq_drop,
        found.noise,
    )  # fmt: skip


def _where(target: Target, measured: Sequence[MeasurementRow], on_target: bool) -> str:
    place = next((row.where for row in measured), "no machine")
    note = "a machine of the target's kind" if on_target else f"not on {target.name}"
    return f"measured on {place}; {note}"


def _stages(
    result: Result,
    verified: VerifyRecord,
    files: Sequence[FileRow],
    measured: Sequence[MeasurementRow],
) -> tuple[StageRow, ...]:
    """What each stage that touches the model did."""
    names = model_steps(of_labels(result.recipe))
    rows = [_model_stage(result, name, verified, measured) for name in names]
    rows[-1] = _as_its_file(rows[-1], files, result.target.primary)
    last, shipped = rows[-1], shipped_of(files)
    if of_labels(result.recipe).stages.quantize is not None:
        row = _stage("quantize", StageMetrics.read(result.artifacts["quantize"]))
        rows.append(replace(_shaped(row, last), test_quality=verified.torch.get("int8")))
    row = _stage("export", StageMetrics.read(result.artifacts["export"]))
    export = replace(
        _shaped(row, last),
        size_kb=shipped.size_kb,
        size_of=shipped.file,
        p50_ms=shipped.p50_ms,
        where=shipped.where,
        test_quality=shipped.quality,
    )
    return (*rows, export)


def _model_stage(
    result: Result, name: str, verified: VerifyRecord, measured: Sequence[MeasurementRow]
) -> StageRow:
    artifact = result.artifacts[name]
    metrics = StageMetrics.read(artifact)
    weights = artifact.file("model/weights.safetensors")
    own = [each for each in measured if each.model == name]
    in_primary = (each for each in own if each.runtime == result.target.primary)
    timed = next(in_primary, own[0] if own else None)
    return replace(
        _stage(name, metrics),
        test_quality=verified.torch.get(name),
        padded_macs=_padded(metrics, result.target),
        size_kb=weights.stat().st_size / 1000 if weights.exists() else None,
        size_of="weights, float",
        p50_ms=timed.p50_ms if timed else None,
        where=timed.where if timed else None,
    )


def _as_its_file(row: StageRow, files: Sequence[FileRow], primary: str) -> StageRow:
    """The last model with the latency of the fp32 file that holds it."""
    for file in files:
        if (file.runtime, file.precision) == (primary, "fp32"):
            return replace(row, p50_ms=file.p50_ms, where=file.where)
    return row


def _shaped(row: StageRow, model: StageRow) -> StageRow:
    """With the work of the model that the stage had before it."""
    return replace(row, macs=model.macs, padded_macs=model.padded_macs, params=model.params)


def _padded(metrics: StageMetrics, target: Target) -> float | None:
    """Millions of multiply-accumulates as the target's kernels compute them, where that is known
    of both."""
    if target.kernel is None or metrics.products is None:
        return None
    return padded_of(metrics.products, target.kernel) / 1e6


def _stage(name: str, metrics: StageMetrics) -> StageRow:
    return StageRow(
        stage=name,
        validation_quality=metrics.validation_quality,
        macs=metrics.macs,
        params=metrics.params,
        seconds=metrics.seconds,
        images_per_second=metrics.images_per_second,
        notes=metrics.notes,
    )


def _summary(
    result: Result,
    stages: Sequence[StageRow],
    shipped: FileRow,
    measured: Sequence[MeasurementRow],
) -> Summary:
    from edgedistill.tasks import TASKS

    teacher, last = stages[0], stages[-1]
    timed_teacher = teacher_row(measured, result.target.primary)
    quality, reference = shipped.quality, teacher.test_quality
    drop = retention = None
    if quality is not None and reference is not None:
        drop, retention = reference - quality, quality / reference if reference else None
    return Summary(
        file=shipped.file,
        runtime=shipped.runtime,
        precision=shipped.precision,
        metric=TASKS[result.recipe.task].metric,
        quality=quality,
        teacher_quality=reference,
        quality_drop=drop,
        retention=retention,
        size_kb=shipped.size_kb,
        macs=last.macs,
        padded_macs=last.padded_macs,
        params=last.params,
        p50_ms=shipped.p50_ms,
        peak_memory_mb=shipped.peak_memory_mb,
        smaller_than_teacher=ratio(teacher.size_kb, shipped.size_kb),
        faster_than_teacher=shipped.faster_than_teacher,
        teacher_runtime=timed_teacher.runtime if timed_teacher else None,
    )
