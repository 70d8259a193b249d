"""Files that the target runs for much less than the one that ships."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from advising import given, only

from edgedistill.advice import Facts
from edgedistill.advice.runtimes import runtimes
from edgedistill.records import FileRow

Make = Callable[..., Facts]


def files(make_facts: Make, other: FileRow, cost: float) -> Facts:
    """`tiny.int8.onnx` ships and takes 1 ms, the other file so many."""
    facts = make_facts()
    shipped = next(row for row in facts.report.files if row.shipped)
    costs = {(shipped.runtime, "int8", shipped.file): 1.0,
             (other.runtime, other.precision, other.file): cost}  # fmt: skip
    report = replace(facts.report, files=(shipped, other))
    return replace(facts, report=report, costs=costs)


def row(runtime: str, precision: str, **other: object) -> FileRow:
    fields = {"quality": 94.0, "parity": True, "shipped": False, "size_kb": 3.0, **other}
    return FileRow(runtime=runtime, precision=precision, file=f"tiny.{precision}", **fields)  # type: ignore[arg-type]


def test_floats_that_are_faster_than_integers_ship(make_facts: Make) -> None:
    found = only(runtimes, files(make_facts, row("onnxruntime", "fp32"), 0.5))
    assert (found.gain, found.share, found.how) == (0.5, 0.5, "measured")
    assert found.set == ("stages.export.precisions=[fp32]",)


def test_another_runtime_that_is_faster_comes_first(make_facts: Make) -> None:
    found = only(runtimes, files(make_facts, row("openvino", "int8"), 0.6))
    assert found.gain == pytest.approx(0.4)
    assert "`runtimes: [openvino, " in found.change


@pytest.mark.parametrize(
    ("other", "cost"),
    [
        (row("openvino", "int8"), 0.9),
        (row("openvino", "int8", parity=False), 0.5),
        (row("openvino", "int8", quality=90.0), 0.5),
    ],
)
def test_one_that_is_little_faster_or_wrong_or_worse_does_not(
    make_facts: Make, other: FileRow, cost: float
) -> None:
    assert not given(runtimes, files(make_facts, other, cost))


def test_times_of_another_machine_say_nothing(make_facts: Make) -> None:
    assert not given(runtimes, make_facts())
