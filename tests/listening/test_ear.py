"""Samples in pieces of any length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.errors import UserError
from edgedistill.listening.ear import Ear, Hops, as_real


class Step:
    """Sums what it was ever given."""

    def __init__(self) -> None:
        self.calls, self.total = 0, 0.0

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        assert samples.shape == (1, 8) and samples.dtype == np.float32
        self.calls += 1
        self.total += float(samples.sum())
        return np.array([[self.total, 0.0, -self.total]], np.float32)


HOPS = Hops(hop=8, lead_in=24, temperature=2.0, keywords=(2, 0))


@given(st.lists(st.integers(0, 40), max_size=8))
def test_the_pieces_that_samples_come_in_change_nothing(lengths: list[int]) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, sum(lengths)).astype(np.float32)
    step = Step()
    ear = Ear(step, HOPS)
    parts = [ear.feed(each) for each in np.split(sound, np.cumsum(lengths[:-1]))]
    found = np.concatenate([np.zeros((0, 2)), *parts])
    assert len(found) == len(sound) // 8
    assert step.calls == 3 + len(found)  # a lead-in of three hops
    assert np.array_equal(found, Ear(Step(), HOPS).feed(sound))


def test_probabilities_are_those_of_the_keywords_at_the_temperature() -> None:
    found = Ear(Step(), HOPS).feed(np.full(8, 0.5, np.float32))
    powers = np.exp(np.array([4.0, 0.0, -4.0]) / 2.0)
    assert np.allclose(found, (powers / powers.sum())[[2, 0]])


def test_integers_are_the_same_sound() -> None:
    sound = np.array([-32768, 0, 16384, 32767], np.int16)
    assert as_real(sound).tolist() == [-1.0, 0.0, 0.5, 32767 / 32768]
    assert as_real(np.array([-3.0, 0.25, 7.0])).tolist() == [-1.0, 0.25, 1.0]


@pytest.mark.parametrize(
    ("sound", "told"),
    [
        (np.zeros((4, 2), np.float32), r"sound of shape \(4, 2\); one channel"),
        (np.zeros(4, np.int32), "sound as int32; int16, or floats"),
        (np.array([0.0, np.nan]), "NaN or infinite"),
        (np.array([np.inf]), "NaN or infinite"),
    ],
)
def test_what_is_no_sound_is_told(sound: np.ndarray, told: str) -> None:
    with pytest.raises(UserError, match=told):
        as_real(sound)
