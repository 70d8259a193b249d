"""What becomes of a record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgedistill.devices import (
    Conditions,
    Protocol,
    Record,
    counts,
    figures,
    last_to_first,
    measurements,
    percentile,
    shortfall,
    trimmed_mean,
)
from edgedistill.devices.local import Local
from edgedistill.records import as_json


def record(samples: list[float]) -> Record:
    return Record(1.5, 0.5, samples, 2.0)


def test_percentiles_lie_between_samples() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([1.0, 2.0], 90) == pytest.approx(1.9)
    assert percentile([7.0], 99) == 7.0


def test_a_trimmed_mean_knows_nothing_of_outliers() -> None:
    assert trimmed_mean([1.0, 2.0, 3.0, 4.0, 1000.0]) == 3.0
    assert trimmed_mean([5.0]) == 5.0


def test_every_figure_of_a_row_says_how_and_where() -> None:
    made = figures(record([0.25] * 31), Protocol(), Local(), "a bench")
    found = measurements(made)
    assert found["p50_ms"].unit == "ms"
    assert len(found["p50_ms"].samples) == 31
    assert found["peak_memory_mb"].unit == "MB"
    assert {(each.how, each.where) for each in found.values()} == {("measured", "a bench")}
    assert made.device == "local"


def test_how_the_device_was_is_reported() -> None:
    facts: dict[str, str | float] = {"load": 0.5, "thermal": "none", "runs_in_a_sample": 1}
    found = replace(record([1.0]), conditions=[Conditions(-1.0, facts)])
    made = figures(found, Protocol(), Local(), "a bench")
    assert as_json(made)["conditions"] == [{"at_s": -1.0, **facts}]


def test_what_nobody_measured_is_no_figure() -> None:
    made = figures(Record(None, None, [1.0], None), Protocol(), Local(), "a bench")
    assert set(measurements(made)) == {"p50_ms", "p90_ms", "p99_ms"}


def test_counts_are_no_times() -> None:
    made = counts(
        Record(None, None, [], None, instructions={"all": 12.0, "sdot": 3.0}), Protocol(),
        Local(), "a chip",
    )  # fmt: skip
    assert made.instructions == {"all": 12.0, "sdot": 3.0}
    assert not any(name.endswith("_ms") for name in vars(made))


def test_missed_minima_are_named() -> None:
    protocol = Protocol(minimum=100, minimum_seconds=60)
    assert shortfall(record([600.0] * 100), protocol) == ""
    assert shortfall(record([600.0] * 99), protocol) == "99 of 100 runs"
    assert shortfall(record([10.0] * 50), protocol) == "50 of 100 runs, 0.5 of 60 s"


def test_a_device_that_slows_down_is_seen() -> None:
    steady, slower = [100.0] * 1200, [100.0] * 700 + [150.0] * 500
    assert last_to_first(steady) == 1.0
    assert last_to_first(slower) == 1.5
    assert last_to_first([100.0] * 1000) is None
