from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.distill.search import Found, changed
from edgedistill.recipe import Hints, Labels, SoftTargets

LOSSES = (
    SoftTargets(kind="soft_targets", weight=0.9, temperature=4.0),
    Labels(kind="labels", weight=0.1),
    Hints(kind="hints", weight=0.5),
)


def test_what_a_recipe_has_already() -> None:
    assert Found.of(LOSSES) == Found(4.0, pytest.approx(0.9))


@given(st.floats(1, 10), st.floats(0.05, 0.95))
def test_the_weights_keep_their_sum_and_others_stay(temperature: float, share: float) -> None:
    made = changed(LOSSES, Found(temperature, share))
    assert Found.of(made).share == pytest.approx(share)
    assert Found.of(made).temperature == temperature
    assert made[0].weight + made[1].weight == pytest.approx(1.0)
    assert made[2] == LOSSES[2]


def test_unchanged_values_change_nothing() -> None:
    made = changed(LOSSES, Found.of(LOSSES))
    assert [loss.weight for loss in made] == pytest.approx([loss.weight for loss in LOSSES])
