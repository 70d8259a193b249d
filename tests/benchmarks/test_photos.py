from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.photos import TRIALS, over_seeds, recipe


def asked(photos: Path) -> argparse.Namespace:
    return argparse.Namespace(photos=photos, limit=300, test=100, set=[])


@pytest.mark.parametrize("name", TRIALS)
def test_every_trial_is_a_recipe_that_differs(name: str, tmp_path: Path) -> None:
    tried = recipe(asked(tmp_path), tmp_path, 1, *TRIALS[name])
    assert (tried == recipe(asked(tmp_path), tmp_path, 1)) == (name == "as it is")
    assert str(tried.data.train) == f"{tmp_path}/train"  # type: ignore[union-attr]


def test_seeds_are_told_together_and_failures_beside() -> None:
    rows = [
        {"name": "ours", "runtime": "litert", "accuracy": 80.0, "minutes": 2.0, "seed": 0},
        {"name": "theirs", "runtime": "litert", "failed": {"import": "none"}, "seed": 0},
        {"name": "ours", "runtime": "litert", "accuracy": 90.0, "minutes": 4.0, "seed": 1},
        {"name": "theirs", "runtime": "litert", "accuracy": 70.0, "minutes": 1.0, "seed": 1},
    ]
    ours, theirs = over_seeds(rows)
    assert (ours["accuracy_mean"], ours["samples"], ours["minutes"]) == (85.0, [80.0, 90.0], 3.0)
    assert theirs["samples"] == [70.0]
    assert theirs["failed"] == [{"import": "none"}]
