from __future__ import annotations

import numpy as np
import pytest

from benchmarks.environments import HERE, whole_mb
from benchmarks.peers_quantization import ahead, told_of
from benchmarks.quantizers_side import NEEDS, PEERS


def test_files_that_say_the_same_are_level() -> None:
    same = [np.array([True, False, True, True])] * 3
    assert ahead(same, same) == {"ours_ahead": 0.0, "ahead_low": 0.0, "ahead_high": 0.0}


def test_how_far_ahead_is_the_mean_over_seeds_within_its_interval() -> None:
    rng = np.random.default_rng(0)
    ours = [rng.random(2000) < 0.8 for _ in range(3)]
    theirs = [rng.random(2000) < 0.7 for _ in range(3)]
    found = ahead(ours, theirs)
    wanted = 100 * (np.mean(ours) - np.mean(theirs))
    assert found["ours_ahead"] == pytest.approx(wanted)
    assert 0 < found["ahead_low"] < wanted < found["ahead_high"]
    assert found["ahead_high"] - found["ahead_low"] < 6


def test_each_peer_is_told_with_what_it_is_made_of() -> None:
    assert set(NEEDS) == set(PEERS)


def test_a_tool_that_made_nothing_is_told_with_why() -> None:
    row = told_of([{"failed": {"pip": "no such version"}}], HERE)
    assert row["failed"] == [{"pip": "no such version"}]
    assert row["settings"] == "-"


def test_what_a_package_requires_counts_and_what_is_not_there_does_not() -> None:
    assert 0 < whole_mb(["numpy"]) < whole_mb(["numpy", "scipy"])
    assert whole_mb(["scipy"]) > whole_mb(["numpy"])
    assert whole_mb(["no-such-package"]) == 0
