from __future__ import annotations

import numpy as np
import pytest

from edgedistill.tasks.classification import accuracy
from edgedistill.tasks.noise import paired_noise


def test_models_that_agree_leave_nothing_to_chance() -> None:
    outputs, labels = np.eye(4)[np.arange(40) % 4], np.arange(40) % 4
    assert paired_noise(accuracy, outputs, outputs, labels) == 0


def test_the_noise_is_the_standard_error_of_the_paired_difference() -> None:
    labels = np.zeros(1000, np.int64)
    first = np.tile([1.0, 0.0], (1000, 1))
    second = first.copy()
    second[:100] = [0.0, 1.0]
    expected = 100 * (0.1 * 0.9 / 1000) ** 0.5
    assert paired_noise(accuracy, first, second, labels) == pytest.approx(expected, rel=0.15)
