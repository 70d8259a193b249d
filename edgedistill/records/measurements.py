"""What a device measured, file by file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from edgedistill.records.codec import Record

How = Literal["measured", "emulated", "estimated"]
Accelerator = Literal["xnnpack", "gpu"]


@dataclass(frozen=True)
class OperatorRow:
    """One operator as the runtime executes it."""

    name: str
    type: str
    dtype: str
    microseconds: float | None
    """Of one inference; None where the runtime's Python package reaches no profiler."""
    where: str
    """The delegate, provider or kernel that ran it."""
    instructions: float | None = None
    """Of one inference, where a device counts them."""


@dataclass(frozen=True)
class LeftOver:
    """Operators that a better file, or a delegate that knew more of them, would not have run."""

    kind: Literal["undelegated", "transpose", "in float", "quantize"]
    """`undelegated`: left to the runtime's plain kernels; `in float`: between integers, in a file
    of integers; `quantize`: from floats to integers or back, away from the file's ends."""
    operators: tuple[str, ...]
    """`TYPE NAME`, in the order in which they ran."""
    share: float | None
    """Of what all operators cost; None where nothing tells what each did."""
    of: Literal["time", "instructions", ""]
    """What the share is of."""


@dataclass(frozen=True)
class Figures:
    """Of one file on one device. Times in milliseconds, memory in 10^6 bytes."""

    import_ms: float | None
    """Loading the runtime; not part of the loads."""
    cold_load_ms: float | None
    """First load in a fresh process. The file may lie in the system's page cache."""
    warm_load_ms: float | None
    p50_ms: float
    p90_ms: float
    p99_ms: float
    samples_ms: tuple[float, ...]
    """One inference of one sample each."""
    peak_memory_mb: float | None
    """Above the process with the runtime loaded, in a run that took no times; None where the
    system does not tell."""
    operators: tuple[OperatorRow, ...]
    threads: int
    how: How
    where: str
    """The device, in words."""
    device: str = "local"
    """As a user asks for it."""
    trimmed_mean_ms: float | None = None
    """Without the lowest and the highest fifth of the samples."""
    shortfall: str = ""
    """Which minima of the protocol the samples miss; empty where they are valid."""
    last_to_first: float | None = None
    """The median of the last minute by that of the first, of runs of two minutes and more."""
    conditions: tuple[Mapping[str, str | float], ...] = ()
    """How the device was before, during and after each job: `at_s` seconds from its beginning, and
    load, heat, battery as far as it tells."""
    left: tuple[LeftOver, ...] = ()
    """What ran that a better file would not have, by cost."""


@dataclass(frozen=True)
class Counts:
    """Of one file on a device that counts instructions: what an emulator tells of a processor, of
    whose caches and pipelines it knows nothing. They are no times and never turned into any."""

    instructions: Mapping[str, float]
    """Of one inference, by class (`sdot`, `fmla`, ...) and in `all`."""
    threads: int
    how: How
    where: str
    """The device, in words."""
    device: str
    """As a user asks for it."""
    operators: tuple[OperatorRow, ...] = ()
    left: tuple[LeftOver, ...] = ()
    """What ran that a better file would not have, by cost."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What LiteRT's `benchmark_model` tells of the runs of a file, of which it gives no samples.
    Times in milliseconds, memory in 10^6 bytes."""

    runs: int
    warmup_runs: int
    first_ms: float
    """The first run, a part of the warm-up."""
    mean_ms: float
    deviation_ms: float
    min_ms: float
    p5_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float
    process_memory_mb: float | None
    """Peak of the whole process, where it was asked for."""


@dataclass(frozen=True, kw_only=True)
class SummaryRow(RunSummary):
    """The figures of one file that `benchmark_model` took on one device."""

    by: str = "benchmark_model"
    digest: str
    """Of that program, SHA-256."""
    cold_load_ms: float
    """What it calls its initialization."""
    peak_memory_mb: float | None
    """Above the program's beginning, in a run that took no times."""
    accelerator: Accelerator
    """That it was asked for."""
    took: Mapping[str, int]
    """How many of the file's operators each delegate took; empty where it does not tell."""
    delegated: float | None
    """Their share of all operators."""
    operators: tuple[OperatorRow, ...]
    """Of the program that ran, without times."""
    threads: int
    how: How
    where: str
    """The device, in words."""
    device: str
    """As a user asks for it."""
    shortfall: str
    """Which minima of the protocol the runs miss; empty where they are valid."""
    conditions: tuple[Mapping[str, str | float], ...]
    """How the device was before, during and after each job."""


@dataclass(frozen=True, kw_only=True)
class MeasurementRow(Figures):
    """The figures of one model in one runtime."""

    model: str
    """`student` for an exported file; else the step whose model it is."""
    runtime: str
    precision: str
    file: str | None
    """The exported file's name; None for a model that does not ship."""
    program: str = "main"
    """Which of the file's programs; of one that keeps a state, a step."""


@dataclass(frozen=True, kw_only=True)
class CountRow(Counts):
    """The counts of one exported file."""

    runtime: str
    precision: str
    file: str
    program: str = "main"


@dataclass(frozen=True)
class OnDevice:
    """What a device of the target's kind told of the exported files."""

    device: str
    """As it was asked for."""
    how: How
    where: str
    """In words."""
    isa: str
    flags: tuple[str, ...]
    system: str
    facts: Mapping[str, str]
    versions: Mapping[str, str]
    times: tuple[MeasurementRow, ...] = ()
    counts: tuple[CountRow, ...] = ()
    """Of a device that counts instructions, in place of times."""


@dataclass(frozen=True)
class MeasurementsRecord(Record):
    """Every file, and the models that they came from."""

    FILE: ClassVar[str] = "measurements.json"

    rows: tuple[MeasurementRow, ...]
