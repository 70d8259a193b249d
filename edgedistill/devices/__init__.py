"""Devices that run a model file and bring back outputs and figures: one file each, one table.

A device knows nothing of models: a job is (model file, runtime, inputs, protocol), and every
device returns the same record.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgedistill.devices.machine import is_machine, machine, name_of
from edgedistill.records import Figures, How, OperatorRow

__all__ = [
    "DEVICES", "Device", "Job", "Measurement", "Protocol", "Record", "Tick",
    "figures", "in_short", "in_turn", "is_machine",
    "machine", "measurements", "name_of", "percentile",
]  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """How long to measure: until `runs` or `seconds` is reached, after at least `minimum` runs."""

    warmup: int = 10
    runs: int = 200
    seconds: float = 5.0
    threads: int = 1
    minimum: int = 10


@dataclass(frozen=True)
class Job:
    """What a device is to measure, and how."""

    model: Path
    """A model file; for the runtime `torch`, a model folder."""
    runtime: str
    inputs: Path
    """`.npz` of real values (samples, ...) by the inputs' names, pictures (samples, channels,
    height, width) in 0..1. One sample is one run."""
    protocol: Protocol = Protocol()
    program: str = "main"
    """Which of the file's programs."""
    profile: bool = True
    """Also ask for per-operator times (after the other figures were taken) and for outputs."""


@dataclass(frozen=True)
class Record:
    """What a device brings back from one job. Times in milliseconds, memory in 10^6 bytes."""

    import_ms: float
    """Importing the runtime; not part of the loads."""
    cold_load_ms: float
    """First load in a fresh process. The file may lie in the system's page cache."""
    warm_load_ms: float
    samples_ms: list[float]
    """One inference of one sample each: encoding and decoding of pixels and logits excluded."""
    peak_memory_mb: float | None
    """Peak resident memory of a load and its runs, above the process with the runtime imported.
    None where the system does not tell."""
    operators: list[OperatorRow] = field(default_factory=list)
    outputs: list[list[float]] = field(default_factory=list)
    """Logits of each input."""


@dataclass(frozen=True)
class Measurement:
    """A number that says where it comes from."""

    value: float
    unit: str
    how: How
    where: str
    samples: tuple[float, ...] = ()


@dataclass(frozen=True)
class Device:
    """A line of the table."""

    name: str
    in_file: str
    """The module with `run(job) -> Record` and `where() -> str`."""

    @property
    def run(self) -> Callable[[Job], Record]:
        """Run one job in a fresh process of the device."""
        module = importlib.import_module(self.in_file)
        run: Callable[[Job], Record] = module.run
        return run

    @property
    def where(self) -> Callable[[], str]:
        """The device in words, for people."""
        module = importlib.import_module(self.in_file)
        where: Callable[[], str] = module.where
        return where


Tick = Callable[[int, int, Job, Record], None]
"""(how many are done, of how many, what was measured last, what came)."""


def in_short(job: Job, record: Record) -> str:
    """What a round of a job brought, in a few words."""
    median = percentile(record.samples_ms, 50)
    return f"{job.model.name} in {job.runtime}: {median:.3g} ms, {len(record.samples_ms)} runs"


DEVICES = {device.name: device for device in (Device("local", "edgedistill.devices.local"),)}


def in_turn(
    device: Device,
    jobs: Sequence[Job],
    rounds: int = 3,
    tick: Tick = lambda done, total, job, record: None,
) -> list[Record]:
    """Measure jobs in rounds, one after the other in each, so that what slows the device for a
    while slows all of them and ratios stay fair. Each round of each job is a process of its own,
    after which `tick` is told of it.
    """
    found: list[list[Record]] = [[] for _ in jobs]
    for turn in range(rounds):
        for place, job in enumerate(jobs):
            share = replace(
                job.protocol,
                runs=-(-job.protocol.runs // rounds),
                seconds=job.protocol.seconds / rounds,
                minimum=-(-job.protocol.minimum // rounds),
            )
            job = replace(job, protocol=share, profile=job.profile and turn == 0)
            record = device.run(job)
            found[place].append(record)
            tick(turn * len(jobs) + place + 1, rounds * len(jobs), job, record)
    return [_joined(records) for records in found]


def _joined(records: list[Record]) -> Record:
    """One record from the rounds: samples together, loads by their median, memory by its peak."""
    peaks = [record.peak_memory_mb for record in records if record.peak_memory_mb is not None]
    return replace(
        records[0],
        import_ms=percentile([record.import_ms for record in records], 50),
        cold_load_ms=percentile([record.cold_load_ms for record in records], 50),
        warm_load_ms=percentile([record.warm_load_ms for record in records], 50),
        samples_ms=[sample for record in records for sample in record.samples_ms],
        peak_memory_mb=max(peaks, default=None),
    )


def percentile(samples: Sequence[float], share: float) -> float:
    """The `share`-th percentile (0..100), linear between samples."""
    ordered = sorted(samples)
    place = (len(ordered) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def figures(record: Record, threads: int, where: str) -> Figures:
    """A record as it is reported: with percentiles, and rounded."""
    peak = record.peak_memory_mb
    p50, p90, p99 = (round(percentile(record.samples_ms, share), 5) for share in (50, 90, 99))
    return Figures(
        import_ms=round(record.import_ms, 4),
        cold_load_ms=round(record.cold_load_ms, 4),
        warm_load_ms=round(record.warm_load_ms, 4),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        samples_ms=tuple(round(sample, 5) for sample in record.samples_ms),
        peak_memory_mb=None if peak is None else round(peak, 4),
        operators=tuple(record.operators),
        threads=threads,
        how="measured",
        where=where,
    )


_FIGURES = {"cold_load_ms": "ms", "warm_load_ms": "ms", "p50_ms": "ms", "p90_ms": "ms",
            "p99_ms": "ms", "peak_memory_mb": "MB"}  # fmt: skip


def measurements(row: Figures) -> dict[str, Measurement]:
    """The figures of a file by name, each with how and where; without those nobody measured."""
    return {
        name: Measurement(
            value, unit, row.how, row.where, row.samples_ms if name == "p50_ms" else ()
        )
        for name, unit in _FIGURES.items()
        if (value := getattr(row, name)) is not None
    }
