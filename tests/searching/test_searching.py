"""Whole searches: one of trainings that take no time, and ones whose figures are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import edgedistill
from edgedistill.cache import Cache
from edgedistill.costs import PriceSource
from edgedistill.errors import UserError
from edgedistill.progress import Lines, Quiet
from edgedistill.recipe import load_recipe, of_labels
from edgedistill.records import StudyRecord, read_record
from edgedistill.report.study import headline
from edgedistill.searching import Wanted, search, varied_in
from edgedistill.target import load_target

pytestmark = pytest.mark.usefixtures("quickly")
pytest.importorskip("optuna")
TARGET = load_target("android-arm64")


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    """The digits at 8 pixels, and next to no training."""
    quick = {"epochs": 0.2, "batch_size": 64, "precision": "fp32"}
    document: dict[str, Any] = {
        "name": "tiny",
        "data": {"source": "digits", "image_size": 8, "limit": 200},
        "teacher": {"family": "resnet_cifar", "depth": 8, "widths": [8, 8, 8]},
        "student": {"family": "resnet_cifar", "depth": 8, "widths": [8, 8, 8], "shortcut": "conv"},
        "stages": {"teacher": {"train": quick}, "teach": {"views": 1}, "distill": quick},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(document))
    recipe = of_labels(load_recipe(tmp_path / "tiny.yaml"))
    vary = (
        "student.widths=[8, 8, 8],[8, 8, 16],[8, 16, 16]",
        "stages.distill.learning_rate=0.01..1.0",
    )
    return Wanted(recipe, TARGET, varied_in(recipe, TARGET, vary), 3.0, tmp_path / "out")


def test_a_search_leaves_its_runs_a_picture_and_a_recipe(wanted: Wanted, tmp_path: Path) -> None:
    record = search(wanted, Cache(tmp_path / "cache"), Quiet())
    assert read_record(StudyRecord, wanted.out / "search.json") == record
    assert record.runs[0].values == {
        "student.widths": [8, 8, 8], "stages.distill.learning_rate": 0.1,
    }  # fmt: skip
    assert record.runs[0].macs is not None and record.runs[0].reason is None
    assert record.unit == "M padded MACs"
    assert record.spent_s >= sum(run.seconds for run in record.runs) > 0
    assert "<svg" in (wanted.out / "search.html").read_text()
    best = next(run for run in record.runs if run.number == record.best)
    found: Any = load_recipe(wanted.out / "recipe.yaml")
    assert list(found.student.widths) == best.values["student.widths"]
    assert found.stages.distill.learning_rate == best.values["stages.distill.learning_rate"]
    assert found.stages.distill.epochs == wanted.recipe.stages.distill.epochs


# --- made-up figures ------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Seconds pass where a trial is judged, 90 for the whole of a recipe. A trial is the better the
    wider it is and the nearer its learning rate comes to 0.3; `raises` is what one of them does."""
    state: dict[str, Any] = {"now": 0.0, "seen": [], "raises": {}}

    def judged(wanted: Any, values: Any, share: float, *rest: Any) -> dict[str, float]:
        state["now"] += 90 * share
        state["seen"].append((values, share))
        error = state["raises"].pop(len(state["seen"]), None)
        if error is not None:
            raise error
        width = sum(values["student.widths"])
        quality = 50 + width / 4 + 20 * share - abs(values["stages.distill.learning_rate"] - 0.3)
        return {"quality": quality, "cost": width / 10, "macs": width / 20, "params": 3.0}

    monkeypatch.setattr("edgedistill.searching._judged", judged)
    monkeypatch.setattr("edgedistill.searching._shared", lambda *_: {})
    monkeypatch.setattr("edgedistill.searching.study.time.monotonic", lambda: state["now"])
    return state


def asked(wanted: Wanted, budget_s: float, tmp_path: Path) -> StudyRecord:
    longer = Wanted(wanted.recipe, TARGET, wanted.varied, budget_s, wanted.out)
    return search(longer, Cache(tmp_path / "cache"), Quiet())


def test_the_best_costs_no_more_than_the_recipes_own(
    wanted: Wanted, clock: dict[str, Any], tmp_path: Path
) -> None:
    record = asked(wanted, 600, tmp_path)
    by = {run.number: run for run in record.runs}
    assert record.best is not None and record.guess is not None
    best, guess = by[record.best], by[record.guess]
    assert best.share == guess.share == 1.0
    assert best.values["student.widths"] == [8, 8, 8]
    assert (best.quality or 0) >= (guess.quality or 0)
    assert any((run.cost or 0) > (guess.cost or 0) for run in record.runs)
    assert 500 < record.spent_s <= 600


@pytest.mark.parametrize(
    ("quality", "told"),
    [(1.0, "1.00 points above"), (0.0, "as good as"), (-1.0, "1.00 points below")],
)
def test_what_was_found_is_held_against_the_recipes_own(
    wanted: Wanted, clock: dict[str, Any], tmp_path: Path, quality: float, told: str
) -> None:
    record = asked(wanted, 600, tmp_path)
    own = next(run for run in record.runs if run.number == record.guess)
    other = replace(own, number=99, trial=9, quality=(own.quality or 0.0) + quality)
    found = replace(record, runs=(own, other), best=99)
    assert headline(found).startswith(f"Trial 9 is {told} the recipe's own values")


def test_what_was_interrupted_goes_on_and_counts(
    wanted: Wanted, clock: dict[str, Any], tmp_path: Path
) -> None:
    clock["raises"] = {3: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        asked(wanted, 60, tmp_path)
    left = read_record(StudyRecord, wanted.out / "search.json")
    assert len(left.runs) == 2
    record = asked(wanted, 60, tmp_path)
    assert clock["seen"][3] == clock["seen"][2]
    assert record.runs[:2] == left.runs
    assert record.spent_s == pytest.approx(sum(run.seconds for run in record.runs) + 10)


def test_a_trial_that_fails_is_told_with_its_reason(
    wanted: Wanted, clock: dict[str, Any], tmp_path: Path
) -> None:
    clock["raises"] = {2: UserError("the loss became nan", "lower the learning rate")}
    record = asked(wanted, 60, tmp_path)
    assert [run.reason for run in record.runs[:3]] == [None, "the loss became nan", None]
    assert record.runs[1].quality is None
    assert "failed: the loss became nan" in (wanted.out / "search.html").read_text()


def test_a_recipe_that_fails_itself_ends_the_search(
    wanted: Wanted, clock: dict[str, Any], tmp_path: Path
) -> None:
    clock["raises"] = {1: UserError("no")}
    with pytest.raises(UserError, match="the recipe's own values: no"):
        asked(wanted, 60, tmp_path)


def test_a_folder_holds_one_search(wanted: Wanted, clock: dict[str, Any], tmp_path: Path) -> None:
    asked(wanted, 30, tmp_path)
    other = varied_in(wanted.recipe, TARGET, ["stages.distill.learning_rate=0.1..0.2"])
    with pytest.raises(UserError, match="the search there is of another recipe"):
        search(Wanted(wanted.recipe, TARGET, other, 30, wanted.out), Cache(tmp_path / "c"), Quiet())
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.txt").write_text("mine")
    place = Wanted(wanted.recipe, TARGET, other, 30, tmp_path / "photos")
    with pytest.raises(UserError, match="something else than a search is there"):
        search(place, Cache(tmp_path / "c"), Quiet())


def test_values_that_are_all_tried_end_it(
    wanted: Wanted, clock: dict[str, Any], tmp_path: Path
) -> None:
    few = varied_in(
        wanted.recipe, TARGET,
        ["student.widths=[8, 8, 8],[8, 8, 16]", "stages.distill.learning_rate=0.1,0.2"],
    )  # fmt: skip
    record = search(
        Wanted(wanted.recipe, TARGET, few, 1e5, wanted.out), Cache(tmp_path / "c"), Quiet()
    )
    tried = {json.dumps(run.values) for run in record.runs}
    assert len(tried) == 4
    assert record.spent_s < 1000


def test_the_python_function_takes_what_the_command_takes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--budget 30: has no unit"):
        edgedistill.search(budget="30", out=tmp_path / "out")


def test_trials_are_counted_by_the_prices_of_a_device_that_is_there(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    found: dict[str, Any] = {}

    def searched(asked: Wanted, *_: Any) -> StudyRecord:
        found["prices"] = asked.prices
        raise UserError("enough")

    monkeypatch.setattr("edgedistill.searching.search", searched)
    there = PriceSource(device="local", numbers="int8", kernel=None, threads=1, digest="d")
    target = TARGET.model_copy(update={"device": None})
    places = {"out": tmp_path / "out", "cache": tmp_path / "cache"}
    with pytest.raises(UserError, match="enough"):
        edgedistill.search(wanted.recipe, target, **places, reporter=Lines())
    assert found["prices"] is None
    said = "".join(capsys.readouterr())
    assert "not by the device's cost: the target android-arm64 names no device" in said
    monkeypatch.setattr(PriceSource, "of", lambda *_: there)
    monkeypatch.setattr(PriceSource, "open", lambda *_: "prices")
    with pytest.raises(UserError, match="enough"):
        edgedistill.search(wanted.recipe, target, **places, reporter=Lines())
    assert found["prices"] == "prices"


def test_nothing_is_started_to_look_for_a_device_that_nobody_asked_for(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def searched(*_: Any) -> StudyRecord:
        raise UserError("enough")

    monkeypatch.setattr("edgedistill.searching.search", searched)
    monkeypatch.setattr(PriceSource, "of", lambda *_: pytest.fail("it opens the device"))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")  # where no server of adb is
    assert TARGET.device == "adb"
    with pytest.raises(UserError, match="enough"):
        edgedistill.search(
            wanted.recipe, TARGET, out=tmp_path / "out", cache=tmp_path / "c", reporter=Lines()
        )
    assert "not by the device's cost: adb is " in "".join(capsys.readouterr())
