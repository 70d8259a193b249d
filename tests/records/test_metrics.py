from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgedistill.artifact import Artifact
from edgedistill.errors import UserError
from edgedistill.records import StageMetrics


def read(metrics: dict[str, Any]) -> StageMetrics:
    return StageMetrics.read(Artifact(Path("prune"), "prune", "", metrics))


def test_figures_are_read_by_name_and_what_else_a_stage_returns_is_passed_over() -> None:
    found = read({"macs": 3, "undone": True, "products": [[1, 2, 3, 4, 5, 6]], "rounds": [{}]})
    assert (found.macs, found.undone, found.drop) == (3.0, True, None)
    assert found.products == ((1, 2, 3, 4, 5, 6),)


def test_a_figure_of_another_type_is_told() -> None:
    with pytest.raises(UserError, match="prune: metrics: `macs` Input should be a valid number"):
        read({"macs": "3"})
