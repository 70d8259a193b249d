from __future__ import annotations

import numpy as np

from edgedistill.recipe import VerifyConfig
from edgedistill.records import Parity
from edgedistill.runtimes.parity import compare, misses
from edgedistill.tasks.classification import agreement


def test_differences_are_counted_in_steps() -> None:
    reference = np.array([[0.0, 1.0], [2.0, 0.5]], np.float32)
    logits = reference + np.array([[0.0, 0.1], [0.0, 0.3]], np.float32)
    found = compare(logits, reference, 0.1, agreement)
    assert (found.max_steps, found.mean_steps, found.within_step) == (3.0, 1.0, 0.75)
    assert found.agreement == 1.0
    assert np.isclose(found.max_difference, 0.15)


def test_float_outputs_have_no_steps() -> None:
    zeros, ones = np.zeros((2, 2), np.float32), np.eye(2, dtype=np.float32)
    found = compare(zeros, ones, agreement=agreement)
    assert (found.max_steps, found.within_step) == (None, None)
    assert found.agreement == 0.5
    assert compare(zeros, ones).agreement is None


def test_each_missed_tolerance_is_told() -> None:
    asked = VerifyConfig()
    close = Parity(1.0, 0.01, 0.001, 2, 0.1, 0.96)
    assert misses(close, 0.1, "litert", "int8", asked) == []
    assert misses(close, 0.1, "openvino", "int8", asked) == [
        "96.00% of the outputs within one step, 99.00% wanted"
    ]
    assert misses(close, 0.5, "litert", "int8", asked) == ["quality 0.50 points apart, 0.3 allowed"]
    assert misses(Parity(0.99, 0.01, 0.001), 0.0, "litert", "fp32", asked) == [
        "an output 0.01 of the range off, 0.001 allowed",
        "decided alike on 99.00%, 99.50% wanted",
    ]
    assert misses(Parity(None, 0.0, 0.0), 0.0, "litert", "fp32", asked) == []
