"""What a device of the target's kind told, as a table for the page and the terminal."""

from __future__ import annotations

from collections import Counter

from edgedistill.records import CountRow, MeasurementRow, OnDevice
from edgedistill.report.numbers import milliseconds, number

_CLASSES = 3
"""Classes of instructions that are shown: of those that multiply, the ones there are most of."""


def title(told: OnDevice) -> str:
    """Which device, and how far to believe it."""
    return f"On {told.device}, {told.how}: {told.where}"


def note(told: OnDevice) -> str:
    """What the figures are not."""
    if told.counts:
        return (
            "Instructions of one inference, in thousands: what the processor has to do, nothing "
            "of how fast its caches and pipelines do it."
        )
    short = [f"{row.file}: {row.shortfall}" for row in told.times if row.shortfall]
    return f"Not valid: {'; '.join(short)}." if short else "The contract is held against these."


def table(told: OnDevice) -> tuple[list[str], list[list[str]]]:
    """(header, rows); the first three columns are names."""
    if told.counts:
        shown = _classes(told.counts)
        header = ["instructions", *shown]
        return _NAMES + header, [[*_named(row), *_counted(row, shown)] for row in told.counts]
    header = ["p50 ms", "p90", "p99", "load ms", "memory MB"]
    return _NAMES + header, [[*_named(row), *_timed(row)] for row in told.times]


_NAMES = ["file", "runtime", "program"]


def _named(row: CountRow | MeasurementRow) -> list[str]:
    return [str(row.file), row.runtime, row.program]


def _timed(row: MeasurementRow) -> list[str]:
    times = (row.p50_ms, row.p90_ms, row.p99_ms, row.cold_load_ms)
    return [*map(milliseconds, times), number(row.peak_memory_mb, 1)]


def _classes(rows: tuple[CountRow, ...]) -> list[str]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: int(count) for name, count in row.instructions.items()})
    for name in ("all", "loads_stores"):
        total.pop(name, None)
    return [name for name, count in total.most_common(_CLASSES) if count]


def _counted(row: CountRow, shown: list[str]) -> list[str]:
    counts = [row.instructions.get(name, 0.0) for name in ("all", *shown)]
    return [f"{count / 1000:,.1f}" for count in counts]
