from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgedistill.devices import Job, race, ratio_of


class Counting:
    """A device on which a job takes as long as was said, and each further run the same more."""

    def __init__(self, times: dict[str, float]) -> None:
        self.times, self.ran = times, list[str]()

    def run(self, job: Job) -> Any:
        self.ran.append(job.model.name)
        assert not job.profile
        time = self.times[job.model.name]

        return SimpleNamespace(samples_ms=[time, time, 9 * time])


def test_files_take_turns_and_each_round_has_its_median() -> None:
    device = Counting({"a": 2.0, "b": 1.0})
    jobs = [Job(Path(name), "onnxruntime", Path("x")) for name in ("a", "b")]
    one, other = race(cast(Any, device), jobs, 3)
    assert device.ran == ["a", "b", "b", "a", "a", "b"]
    assert (one, other) == ((2.0, 2.0, 2.0), (1.0, 1.0, 1.0))


def test_a_ratio_is_of_rounds() -> None:
    assert ratio_of([1.0, 4.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(0.5)
