"""The report of one target's compile: `report.json`, and what the page and the terminal show.

Quality is the task's metric in percent, sizes in KB of 1,000 bytes, MACs in millions, parameters
in thousands, times in milliseconds, memory in 10^6 bytes. A figure nobody measured is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from edgedistill.records.advice import Advised
from edgedistill.records.audit import AuditRecord
from edgedistill.records.export import IntegersChoice
from edgedistill.records.judge import JudgeRecord
from edgedistill.records.listening import ListenRecord
from edgedistill.records.measurements import MeasurementRow, OnDevice
from edgedistill.records.metrics import AuditMetrics, DataMetrics
from edgedistill.records.quantize import LayerSensitivity, Technique
from edgedistill.records.verify import Cause, ProgramRow
from edgedistill.records.whole import WholeRecord

REPORT_FORMAT: Final = 2
"""Raised when a field of `report.json` changes its meaning or goes."""
Status = Literal["ok", "missed", "not measured"]


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """What a stage that touches the model did."""

    stage: str
    validation_quality: float | None = None
    test_quality: float | None = None
    macs: float | None = None
    padded_macs: float | None = None
    """With channels padded as the target's kernels compute them."""
    params: float | None = None
    size_kb: float | None = None
    size_of: str | None = None
    """What has that size."""
    p50_ms: float | None = None
    where: str | None = None
    """The device on which that was measured."""
    seconds: float | None = None
    images_per_second: float | None = None
    notes: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """One exported file: quality, parity, size, speed, memory."""

    runtime: str
    precision: str
    file: str
    shipped: bool
    """Whether it is the one that the contract is held against."""
    size_kb: float
    executed: int | None = None
    """Operators that the runtime executes of an int8 file."""
    float_counts: dict[str, int] | None = None
    """Of these, how many of each type run in float."""
    integers: IntegersChoice | None = None
    """Of int8 .onnx files: whether int8 or uint8 are between the layers, and why."""
    oldest: str | None = None
    """The first TensorFlow Lite that has all operators of a .tflite file; None: not known."""
    quality: float | None = None
    quality_here: float | None = None
    """What this machine's kernels reach, where they stray and the target is another: `quality` is
    the torch graph's then."""
    parity: bool | None = None
    """Whether the file follows the torch graph."""
    agreement: float | None = None
    """Share of test images that are decided as by the graph."""
    within_step: float | None = None
    """Share of outputs at most one step of their scale off the graph's."""
    max_steps: float | None = None
    mean_steps: float | None = None
    first_diverging: str | None = None
    """The first layer that strays."""
    cause: Cause | None = None
    """Of a tolerance that was missed."""
    verdict: str | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    cold_load_ms: float | None = None
    warm_load_ms: float | None = None
    peak_memory_mb: float | None = None
    where: str | None = None
    """The device on which it was measured."""
    faster_than_teacher: float | None = None
    """How many times."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The file that ships, beside the teacher."""

    file: str
    runtime: str
    precision: str
    metric: str
    """What quality is."""
    quality: float | None = None
    teacher_quality: float | None = None
    quality_drop: float | None = None
    retention: float | None = None
    """The file's quality over the teacher's."""
    size_kb: float
    macs: float | None = None
    padded_macs: float | None = None
    params: float | None = None
    p50_ms: float | None = None
    peak_memory_mb: float | None = None
    smaller_than_teacher: float | None = None
    """How many times, of its weights."""
    faster_than_teacher: float | None = None
    """How many times, in `teacher_runtime`."""
    teacher_runtime: str | None = None


@dataclass(frozen=True, kw_only=True)
class ContractLine:
    """One promise, and whether it is kept."""

    name: str
    limit: float | None
    """None for parity, which is promised without being asked for."""
    at_least: bool
    """Whether the limit is the least that is promised; else the most."""
    value: float | None
    unit: str
    status: Status
    note: str


@dataclass(frozen=True)
class Quantized:
    """Layers that were left in float, what rounding each alone costs, dearest first, and what was
    tried."""

    method: str
    kept_in_float: tuple[str, ...]
    sensitivity: tuple[LayerSensitivity, ...]
    techniques: tuple[Technique, ...] = ()
    """Of quantization without training, where it ships."""
    ptq_drop: float | None = None
    """Points of validation quality that it costs, where `auto` tried it."""
    noise: float | None = None
    """Points that chance may make of it, by which `auto` decided whether to train."""


@dataclass(frozen=True, kw_only=True)
class ReportRecord(WholeRecord):
    """Everything that a compile found out."""

    FILE: ClassVar[str] = "report.json"

    report_format: Literal[1, 2] = REPORT_FORMAT
    measured_on_target: bool
    """Whether the machine is of the target's kind."""
    where: str
    """One sentence on where latency and memory come from."""
    data: DataMetrics
    summary: Summary
    stages: tuple[StageRow, ...]
    files: tuple[FileRow, ...]
    verified: bool | None
    """Whether every file follows the torch graph."""
    measurements: tuple[MeasurementRow, ...]
    audited: AuditMetrics
    audit: AuditRecord | None
    judged: JudgeRecord | None
    """What the teacher's answers were found to be worth; None where nobody learned from them."""
    quantized: Quantized | None
    contract: tuple[ContractLine, ...]
    warnings: tuple[str, ...]
    ok: bool
    """Whether no promise is missed."""
    on_device: OnDevice | None = None
    """What a device of the target's kind told; None where none was there."""
    programs: tuple[ProgramRow, ...] = ()
    """The student's programs that are not `main`, over a sequence; their times are among the
    measurements."""
    listened: ListenRecord | None = None
    """What is heard and missed in long audio; None of other tasks, and where nothing listens."""
    advised: Advised | None = None
    """What would make it cheaper or better."""
