from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.records import as_json, from_json
from edgedistill.records.audit import Calibration, ConfidenceBin
from edgedistill.tasks.calibration import (
    confidence,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    overconfidence,
    reliability,
    softmax,
    summary,
)


def honest(seed: int, samples: int = 20_000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose probabilities are those that the labels were drawn with."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (samples, classes)).astype(np.float32)
    edges = softmax(logits).cumsum(axis=1)
    return logits, (rng.random((samples, 1)) > edges[:, :-1]).sum(axis=1)


LOGITS = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]], np.float32)
LABELS = np.array([0, 1, 0])


def test_softmax_divides_by_the_temperature() -> None:
    expected = 1 / (1 + np.exp(-np.array([1.0, 0.5, 1.5])))
    assert np.allclose(confidence(LOGITS, 2.0), expected)
    assert np.allclose(softmax(LOGITS, 2.0).sum(axis=1), 1.0)


def test_softmax_bears_extreme_logits() -> None:
    logits = np.array([[3e38, -3e38], [-np.inf, 0.0], [1e4, 1e4]], np.float32)
    assert softmax(logits, 0.05).tolist() == [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]


def test_likelihood_is_the_mean_of_minus_the_log_of_the_label_s_probability() -> None:
    chosen = softmax(LOGITS)[np.arange(3), LABELS]
    assert negative_log_likelihood(LOGITS, LABELS) == pytest.approx(-np.log(chosen).mean())
    sure = np.array([[1e4, 0.0]], np.float32)
    assert negative_log_likelihood(sure, np.array([1])) == 1e4


def test_reliability_bins_are_closed_above() -> None:
    certain = np.array([0.5, 0.50001, 0.75, 1.0])
    rows = reliability(certain, np.array([True, False, True, True]), bins=4)
    assert [row.count for row in rows] == [0, 1, 2, 1]
    assert rows[0] == ConfidenceBin(0.0, 0.25, 0, None, None)
    assert rows[2].confidence == pytest.approx(0.625005)
    assert rows[2].accuracy == 50.0


def test_calibration_error_is_the_weighted_gap() -> None:
    certain = np.array([0.6, 0.6, 0.9, 0.9])
    right = np.array([True, False, True, True])
    # (2 * |60 - 50| + 2 * |90 - 100|) / 4
    assert expected_calibration_error(reliability(certain, right)) == pytest.approx(10.0)
    assert overconfidence(certain, right) == pytest.approx(0.0)


@pytest.mark.parametrize("seed", range(5))
def test_an_honest_model_is_calibrated(seed: int) -> None:
    found = summary(*honest(seed))
    assert found.ece < 1.5
    assert abs(found.overconfidence) < 1.0
    assert len(found.reliability) == 15
    assert sum(row.count for row in found.reliability) == 20_000


def test_a_boastful_model_is_overconfident_until_it_is_cooled() -> None:
    logits, labels = honest(0)
    boast = summary(3 * logits, labels)
    assert boast.overconfidence > 10
    assert boast.ece == pytest.approx(boast.overconfidence, abs=0.5)
    cooled = summary(3 * logits, labels, temperature=3.0)
    assert cooled.ece == pytest.approx(summary(logits, labels).ece, abs=1e-6)
    assert cooled.accuracy == boast.accuracy


def test_a_summary_is_json() -> None:
    found = summary(LOGITS, LABELS)
    written = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert from_json(Calibration, written) == found
    assert found.accuracy == pytest.approx(200 / 3)
    assert found.confidence == pytest.approx(confidence(LOGITS).mean())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10.0))
def test_fit_recovers_the_temperature(seed: int, temperature: float) -> None:
    logits, labels = honest(seed, samples=4000)
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-2, 5), st.floats(0.05, 20.0))
def test_no_temperature_within_the_bounds_is_likelier(seed: int, scale: float, other: float):
    rng = np.random.default_rng(seed)
    logits = (rng.normal(0, 1, (30, 3)) * 10**scale).astype(np.float32)
    labels = rng.integers(0, 3, 30)
    fitted = fit_temperature(logits, labels)
    assert 0.05 <= fitted <= 20.0
    best = negative_log_likelihood(logits, labels, fitted)
    assert best <= negative_log_likelihood(logits, labels, other) * (1 + 1e-6) + 1e-12


def test_fit_stays_in_its_bounds_for_extreme_logits() -> None:
    right, wrong = np.array([1, 1]), np.array([0, 1])
    logits = np.array([[0.0, 5.0], [0.0, 7.0]], np.float32)
    assert fit_temperature(logits, right) == pytest.approx(0.05)
    assert fit_temperature(1e30 * logits, wrong) == pytest.approx(20.0)


def test_fit_bears_classes_that_are_impossible() -> None:
    logits = np.array([[0.0, 1.0, -np.inf]] * 3, np.float32)
    # Right with the odds of 2 to 1, where the logits say e to 1.
    assert fit_temperature(logits, np.array([1, 1, 0])) == pytest.approx(1 / np.log(2))


def test_fit_is_1_where_no_temperature_makes_a_difference() -> None:
    labels = np.array([0, 1])
    assert fit_temperature(np.zeros((2, 3), np.float32), labels) == 1.0
    assert fit_temperature(np.array([[1e6, 0.0], [0.0, 1e6]], np.float32), labels) == 1.0
