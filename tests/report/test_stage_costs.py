"""A stage that made the device's cost worse misses the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgedistill.artifact import Artifact, write_json
from edgedistill.report import build_report

Make = Callable[..., Any]


def line(result: Any) -> Any:
    (found,) = (each for each in build_report(result).contract if each.name == "cost of a stage")
    return found


@pytest.fixture(params=[True, False])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this machine is the target."""
    monkeypatch.setattr("edgedistill.report.build.is_machine", lambda *_: request.param)
    found: bool = request.param
    return found


def test_int8_slower_than_float_misses_the_contract(make_result: Make, here: bool) -> None:
    result = make_result(contract={"max_stage_cost": 1.05})
    assert line(result).status == ("ok" if here else "not measured")
    artifact: Artifact = result.artifacts["benchmark"]
    found = artifact.json("measurements.json")
    for row in found["rows"]:
        if row["file"] is not None and row["precision"] == "int8":
            row["p50_ms"] = 0.5
    write_json(artifact.path / "measurements.json", found)
    report = build_report(result)
    assert report.ok is not here
    if here:
        assert line(result).status == "missed"
        assert line(result).note.startswith("int8: 0.5 against ")
