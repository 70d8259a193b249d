"""Two bundles or model files side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgedistill.artifact import JsonValue
from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.measure import Subject, measure, subjects
from edgedistill.devices import Protocol, open_device
from edgedistill.tasks import TASKS, Task

_FIGURES = {
    "size_kb": ("size", "KB"),
    "p50_ms": ("latency p50", "ms"),
    "p90_ms": ("latency p90", "ms"),
    "p99_ms": ("latency p99", "ms"),
    "cold_load_ms": ("cold load", "ms"),
    "peak_memory_mb": ("peak memory", "MB"),
}


def side_by_side(
    a: Bundle | str | Path, b: Bundle | str | Path, protocol: Protocol
) -> list[dict[str, JsonValue]]:
    """Rows {figure, unit, a, b, where}; see `edgedistill.compare`."""
    left, right = (_shipped(each) for each in (a, b))
    comparable = _shapes(left) == _shapes(right)
    if comparable:
        same = zip(right.inputs, left.inputs.values(), strict=True)
        right = replace(right, inputs=dict(same))
    first, second = measure([left, right], protocol, open_device("local"), outputs=True)
    rows = [
        _row("file", "", left.path.name, right.path.name, ""),
        _row("test quality", "%", left.quality, right.quality, "each bundle's report"),
    ]
    for key, (figure, unit) in _FIGURES.items():
        where = "file" if key == "size_kb" else first["where"]
        rows.append(_row(figure, unit, first[key], second[key], where))
    if comparable:
        rows += _parity(first["outputs"], second["outputs"], _task(left, right))
    return rows


def _shipped(subject: Bundle | str | Path) -> Subject:
    return next(each for each in subjects(subject) if each.shipped)


def _shapes(subject: Subject) -> list[tuple[int, ...]]:
    """Of one sample of each input; names differ from file to file."""
    return [values.shape[1:] for values in subject.inputs.values()]


def _row(
    figure: str, unit: str, a: JsonValue, b: JsonValue, where: JsonValue
) -> dict[str, JsonValue]:
    return {"figure": figure, "unit": unit, "a": a, "b": b, "where": where}


def _task(left: Subject, right: Subject) -> Task:
    """What decides whether two outputs agree: a's task. Model files alone are taken for
    classifiers."""
    return left.task or right.task or TASKS["classification"]


def _parity(first: JsonValue, second: JsonValue, task: Task) -> list[dict[str, JsonValue]]:
    """How far b's outputs are from a's on the same inputs; nothing for other numbers of them."""
    import numpy as np

    one, other = np.array(first), np.array(second)
    if one.shape != other.shape:
        return []
    where = f"{len(one)} inputs of a"
    apart = float(np.abs(one - other).max())
    rows = [_row("largest difference of an output", "", 0.0, apart, where)]
    if task.agreement and one.shape[1] > 1:
        agree = 100 * task.agreement(one, other)
        rows = [_row(task.agreement_called, "%", 100.0, agree, where), *rows]
    return rows
