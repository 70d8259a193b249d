"""Which of the ways to integers is taken: the program, its training and its judge are made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgedistill.compress.ways import Made, Ways
from edgedistill.recipe import QuantizeConfig
from edgedistill.records import LayerSensitivity

FLOAT = 90.0


class Said(list[str]):
    """What was told."""

    def say(self, text: str) -> None:
        self.append(text)


def maker(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], after: dict[tuple[str, ...], float],
    trained: float, rows: tuple[LayerSensitivity, ...] = (),
) -> tuple[Ways, Said, list[tuple[str, ...]]]:  # fmt: skip
    """after: quality without training, by the layers left in float; rows: the sensitivity table.
    Returns also what was trained, as it is."""
    said, trainings = Said(), []

    def made(_: Ways, kept: tuple[str, ...], quiet: bool = False) -> Made:
        return Made(SimpleNamespace(), kept, "ptq", after[kept])  # type: ignore[arg-type]

    def learned(_: Ways, kept: tuple[str, ...]) -> Made:
        trainings.append(kept)
        return Made(SimpleNamespace(), kept, "qat", trained)  # type: ignore[arg-type]

    monkeypatch.setattr(Ways, "_after", made)
    monkeypatch.setattr(Ways, "_trained", learned)
    monkeypatch.setattr(Ways, "_table", lambda *_: rows)
    validation: Any = SimpleNamespace(noise=lambda *_: 0.5)
    nothing: Any = None
    found = Ways(
        nothing, nothing, QuantizeConfig(**settings), nothing, nothing, validation, FLOAT, said.say
    )
    return found, said, trainings


def test_what_chance_explains_is_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    it, said, trainings = maker(monkeypatch, {"method": "auto"}, {(): FLOAT - 0.9}, FLOAT)
    found = it.make(())
    assert (found.method, trainings) == ("ptq", [])
    assert found.ptq_drop == pytest.approx(0.9) and found.noise == 1.0
    assert "nothing is trained" in said[0]


@pytest.mark.parametrize(("trained", "ships"), [(89.5, "qat"), (86.0, "ptq")])
def test_where_it_costs_more_the_better_of_both_ships(
    monkeypatch: pytest.MonkeyPatch, trained: float, ships: str
) -> None:
    it, said, trainings = maker(monkeypatch, {"method": "auto"}, {(): 87.0}, trained)
    found = it.make(())
    assert (found.method, found.quality) == (ships, max(trained, 87.0))
    assert trainings == [()] and found.ptq_drop == pytest.approx(3.0)
    assert said[0].endswith(f"`{ships}` ships")


@pytest.mark.parametrize("method", ["qat", "ptq"])
def test_layers_stay_in_float_until_the_limit_holds(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(
        "edgedistill.compress.ways.layer_macs", lambda _: {"cheap": 1.0, "dear": 99.0}
    )
    rows = tuple(LayerSensitivity(name, True, 1.0, 20.0) for name in ("dear", "cheap"))
    after = {(): 80.0, ("cheap",): 89.0, ("dear",): 89.0, ("cheap", "dear"): FLOAT}
    settings = {"method": method, "mixed": True, "max_drop": 2.0}
    it, said, trainings = maker(monkeypatch, settings, after, 89.5, rows)
    found = it.make(())
    assert found.kept == ("cheap",)
    assert trainings == ([("cheap",)] if method == "qat" else [])
    assert "1.0 % of the multiply-accumulates" in said[0]


def test_nothing_stays_in_float_where_the_limit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"method": "ptq", "mixed": True, "max_drop": 2.0}
    it, said, _ = maker(monkeypatch, settings, {(): 89.0}, FLOAT)
    assert it.make(()).kept == () and not said


def test_what_costs_too_much_alone_stays_in_float(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (
        LayerSensitivity("dear", True, 3.0, 20.0), LayerSensitivity("add", False, 3.0, 20.0),
        LayerSensitivity("cheap", True, 1.0, 20.0),
    )  # fmt: skip
    settings = {"method": "ptq", "float_above": 2.0}
    it, said, _ = maker(monkeypatch, settings, {("head", "dear"): 89.0}, FLOAT, rows)
    found = it.make(("head",))
    assert found.kept == ("head", "dear") and found.rows == rows
    assert said == ["left in float, too sensitive: dear"]
