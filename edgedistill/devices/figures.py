"""Records as they are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgedistill.artifact import file_digest
from edgedistill.devices.job import (
    Conditions,
    Device,
    Identity,
    Job,
    Protocol,
    Record,
)
from edgedistill.devices.left_over import is_fallback, left_over
from edgedistill.records import Counts, Figures, How, SummaryRow

_MINUTE_MS = 60_000.0


@dataclass(frozen=True)
class Measurement:
    """A number that says where it comes from."""

    value: float
    unit: str
    how: How
    where: str
    samples: tuple[float, ...] = ()


def percentile(samples: Sequence[float], share: float) -> float:
    """The `share`-th percentile (0..100), linear between samples."""
    ordered = sorted(samples)
    place = (len(ordered) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def trimmed_mean(samples: Sequence[float], share: float = 20.0) -> float:
    """The mean without the lowest and the highest `share` percent of the samples, which is what an
    app sees that is not interrupted."""
    ordered = sorted(samples)
    cut = int(len(ordered) * share / 100)
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)


def shortfall(record: Record, protocol: Protocol) -> str:
    """Which of the protocol's minima the samples miss, in words; empty where they are valid."""
    told = record.summary
    runs = told.runs if told else len(record.samples_ms)
    seconds = (told.runs * told.mean_ms if told else sum(record.samples_ms)) / 1000
    missed = []
    if runs < protocol.minimum:
        missed.append(f"{runs:,} of {protocol.minimum:,} runs")
    # The last run began before the time was over, and the clock is read between runs too.
    if seconds < 0.9 * protocol.minimum_seconds:
        missed.append(f"{seconds:.1f} of {protocol.minimum_seconds:g} s")
    return ", ".join(missed)


def last_to_first(samples_ms: Sequence[float]) -> float | None:
    """The median of the last minute by that of the first: above 1 where a device slowed down. None
    of less than two minutes."""
    passed, ends = 0.0, []
    for sample in samples_ms:
        passed += sample
        ends.append(passed)
    if passed < 2 * _MINUTE_MS:
        return None
    timed = list(zip(samples_ms, ends, strict=True))
    first = [sample for sample, end in timed if end <= _MINUTE_MS]
    last = [sample for sample, end in timed if end > passed - _MINUTE_MS]
    return percentile(last, 50) / percentile(first or [samples_ms[0]], 50)


def in_words(identity: Identity) -> str:
    """A device in one line."""
    special = [flag for flag in ("avx512_vnni", "amx_int8", "dotprod", "i8mm", "threads")
               if flag in identity.flags]  # fmt: skip
    return f"{identity.name} ({', '.join(filter(None, [identity.isa, identity.system, *special]))})"


def figures(record: Record, protocol: Protocol, device: Device, where: str) -> Figures:
    """A record of times as it is reported: with percentiles, and rounded. `where` is the device in
    words."""
    samples = record.samples_ms

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 4)

    p50, p90, p99 = (round(percentile(samples, share), 5) for share in (50, 90, 99))
    return Figures(
        import_ms=rounded(record.import_ms),
        cold_load_ms=rounded(record.cold_load_ms),
        warm_load_ms=rounded(record.warm_load_ms),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        trimmed_mean_ms=round(trimmed_mean(samples), 5),
        samples_ms=tuple(round(sample, 5) for sample in samples),
        peak_memory_mb=rounded(record.peak_memory_mb),
        operators=tuple(record.operators),
        threads=protocol.threads,
        how=device.how,
        where=where,
        device=device.name,
        shortfall=shortfall(record, protocol),
        last_to_first=rounded(last_to_first(samples)),
        conditions=tuple(map(_told, record.conditions)),
        left=left_over(record.operators, record.signature),
    )


def _told(conditions: Conditions) -> dict[str, str | float]:
    """A device tells whole numbers too, which its record takes as real ones."""
    facts = {
        name: fact if isinstance(fact, str) else float(fact)
        for name, fact in conditions.facts.items()
    }
    return {"at_s": conditions.at_s, **facts}


def counts(record: Record, protocol: Protocol, device: Device, where: str) -> Counts:
    """A record of instructions as it is reported; see `figures`."""
    return Counts(
        record.instructions, protocol.threads, device.how, where, device.name,
        tuple(record.operators), left_over(record.operators, record.signature),
    )  # fmt: skip


def told(timed: Record, memory: Record, job: Job, device: Device, where: str) -> SummaryRow:
    """What `benchmark_model` told of a file, in a run for times and one for memory."""
    assert job.by and timed.summary and memory.summary and timed.cold_load_ms is not None
    of = len(timed.operators)
    took = Counter(row.where for row in timed.operators if not is_fallback(row))
    summary = replace(timed.summary, process_memory_mb=memory.summary.process_memory_mb)
    return SummaryRow(
        **vars(summary),
        digest=file_digest(job.by.path),
        cold_load_ms=timed.cold_load_ms,
        peak_memory_mb=memory.peak_memory_mb,
        accelerator=job.by.accelerator,
        took=dict(took),
        delegated=sum(took.values()) / of if of else None,
        operators=tuple(timed.operators),
        threads=job.protocol.threads,
        how=device.how,
        where=where,
        device=device.name,
        shortfall=shortfall(timed, job.protocol),
        conditions=tuple(map(_told, timed.conditions)),
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
