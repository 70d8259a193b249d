from __future__ import annotations

import pytest

from edgedistill.bundle.compare import _parity
from edgedistill.tasks import TASKS

FIRST = [[2.0, 1.0, -1.0], [0.5, 1.0, 2.0]]
SECOND = [[1.0, 0.5, -0.5], [-0.5, 1.0, 2.0]]


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("classification", {"top-1 agreement": 100.0}),
        ("multilabel", {"the same labels": 50.0}),
        ("regression", {}),
    ],
)
def test_outputs_agree_in_the_sense_of_the_task(task: str, told: dict[str, float]) -> None:
    rows = {row["figure"]: row["b"] for row in _parity(FIRST, SECOND, TASKS[task])}
    assert rows.pop("largest difference of an output") == 1.0
    assert rows == told
