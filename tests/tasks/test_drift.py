from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.errors import UserError
from edgedistill.tasks.drift import (
    chance,
    compare,
    describe,
    feature_shift,
    population_stability,
)


def predictions(
    rng: np.random.Generator, samples: int, classes: int = 10, sure: float = 3.0, skew: float = 0.0
) -> np.ndarray:
    """Logits of a model that is more or less sure, of classes that are more or less equally
    frequent."""
    weights = np.arange(1.0, classes + 1) ** -skew
    labels = rng.choice(classes, samples, p=weights / weights.sum())
    logits = rng.normal(size=(samples, classes))
    logits[np.arange(samples), labels] += sure
    return logits.astype(np.float32)


def against(reference: np.ndarray, observed: np.ndarray) -> dict:
    known = describe(reference)
    return compare(known, describe(observed, edges=known["edges"]))


def test_describe_counts_classes_and_quantiles() -> None:
    logits = np.log(np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]], np.float32))
    features = np.array([[1.0, 2.0], [3.0, 2.0], [1.0, 6.0], [3.0, 6.0]], np.float32)
    found = describe(logits, features)
    assert found["count"] == 4
    assert found["class_shares"] == [0.5, 0.5]
    assert found["edges"] == pytest.approx([0.7, 0.8, 0.9])
    assert found["confidence_shares"] == [0.25, 0.25, 0.25, 0.25]
    assert found["mean_confidence"] == pytest.approx(0.75)
    expected = [-p * np.log(p) - (1 - p) * np.log(1 - p) for p in (0.6, 0.7, 0.8, 0.9)]
    assert found["entropy"] == pytest.approx(np.mean(expected))
    assert found["features"]["means"] == [2.0, 4.0]
    assert found["features"]["variance"] == pytest.approx(4 / 3 + 16 / 3)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300), st.sampled_from([1.0, 30.0, 1e4]))
def test_a_reference_has_no_empty_bin(seed: int, samples: int, scale: float) -> None:
    logits = np.float32(scale) * predictions(np.random.default_rng(seed), samples)
    found = describe(logits)
    assert 1 <= len(found["confidence_shares"]) <= 10
    assert min(found["confidence_shares"]) > 0
    assert sum(found["confidence_shares"]) == pytest.approx(1.0)
    assert sum(found["class_shares"]) == pytest.approx(1.0)
    again = describe(logits, edges=found["edges"])
    assert again == found


def test_bins_of_the_reference_hold_equal_shares() -> None:
    found = describe(predictions(np.random.default_rng(0), 1000))
    assert found["confidence_shares"] == pytest.approx([0.1] * 10, abs=0.0021)


def test_the_index_is_symmetric_and_bears_empty_bins() -> None:
    before, after = [0.5, 0.5, 0.0], [0.25, 0.5, 0.25]
    by_hand = 0.25 * np.log(2) + (0.25 - 1e-4) * np.log(0.25 / 1e-4)
    assert population_stability(before, after) == pytest.approx(by_hand)
    assert population_stability(after, before) == pytest.approx(by_hand)
    assert population_stability(before, before) == 0.0


@pytest.mark.parametrize(("bins", "n", "m"), [(2, 400, 400), (10, 300, 3000), (10, 2000, 1000)])
def test_chance_is_what_samples_of_one_population_give(bins: int, n: int, m: int) -> None:
    rng = np.random.default_rng(0)
    weights = np.full(bins, 1 / bins)
    pairs = zip(rng.multinomial(n, weights, 4000), rng.multinomial(m, weights, 4000), strict=True)
    found = np.array([population_stability(a / n, b / m) for a, b in pairs])
    mean, limit = chance(bins, n, m)
    assert mean == pytest.approx((bins - 1) * (1 / n + 1 / m))
    assert found.mean() == pytest.approx(mean, rel=0.06)
    assert (found > limit).mean() < 0.004
    assert (found > 0.75 * limit).mean() > 0.002


@pytest.mark.parametrize(("classes", "skew"), [(2, 0.0), (10, 1.5), (100, 1.0)])
@pytest.mark.parametrize("samples", [60, 400, 2000])
def test_halves_of_one_set_have_not_drifted(classes: int, skew: float, samples: int) -> None:
    loud = 0
    for seed in range(40):
        logits = predictions(np.random.default_rng(seed), samples, classes, skew=skew)
        loud += against(logits[::2], logits[1::2])["verdict"] != "stable"
    assert loud <= 1


def test_the_bias_of_small_samples_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    reference = predictions(rng, 4000)
    known = describe(reference)
    few = [describe(predictions(rng, 100), edges=known["edges"]) for _ in range(60)]
    raw = [
        population_stability(known["confidence_shares"], each["confidence_shares"], 0.005)
        for each in few
    ]
    found = [compare(known, each) for each in few]
    assert np.mean(raw) > 0.08
    assert np.mean([each["psi_confidence"] for each in found]) < 0.04
    assert sum(each["verdict"] != "stable" for each in found) <= 1


@pytest.mark.parametrize("seed", range(8))
def test_a_model_that_grew_unsure_has_drifted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = against(predictions(rng, 2000), predictions(rng, 150, sure=1.0))
    assert found["verdict"] == "drifted"
    assert found["psi_confidence"] > 0.25
    assert found["confidence_shift"] < -0.1


@pytest.mark.parametrize("seed", range(8))
def test_classes_that_come_more_often_are_a_shift(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = against(predictions(rng, 5000, sure=9.0), predictions(rng, 5000, sure=9.0, skew=0.6))
    assert found["verdict"] == "shifted"
    assert 0.1 < found["psi_classes"] < 0.25
    assert found["psi_confidence"] < 0.05


def test_a_class_never_seen_before_is_noticed() -> None:
    rng = np.random.default_rng(0)
    before = predictions(rng, 1000, classes=2)
    before[:, 1] = -9.0
    after = before.copy()
    after[:300] = after[:300, ::-1]
    found = against(before, after)
    assert found["verdict"] == "drifted"
    assert found["psi_confidence"] == 0.0


def test_a_rare_class_is_noticed_in_a_few_predictions() -> None:
    seldom, often = np.float32([[1e4, 0.0], [0.0, 1e4]])
    found = against(np.tile(often, (5000, 1)), np.stack([seldom] * 15 + [often] * 35))
    assert found["verdict"] == "drifted"
    assert found["psi_classes"] > 0.25


def test_a_few_predictions_prove_nothing() -> None:
    rng = np.random.default_rng(0)
    known = describe(predictions(rng, 1000))
    with pytest.raises(UserError) as caught:
        compare(known, describe(predictions(rng, 3), edges=known["edges"]))
    assert str(caught.value) == (
        "3 predictions against 1000 are too few to tell a drift from chance\n"
        "hint: collect more of them"
    )


def test_constant_confidence_leaves_the_classes_to_judge_by() -> None:
    def sure(counts: tuple[int, int]) -> np.ndarray:
        return np.repeat(np.float32([[1e4, 0], [0, 1e4]]), counts, axis=0)

    found = against(sure((500, 500)), sure((100, 100)))
    assert found == {
        "verdict": "stable",
        "psi_classes": 0.0,
        "psi_confidence": None,
        "confidence_shift": 0.0,
        "feature_shift": None,
        "note": "Stable: of 200 predictions against 1000, the population stability index is 0.00 "
        "for the class shares (up to 0.06 is chance) and unknown for the confidence shares (too "
        "few samples or bins); how far the features moved is unknown; mean confidence went from "
        "1.00 to 1.00.",
    }
    assert against(sure((500, 500)), sure((180, 20)))["verdict"] == "drifted"


def test_the_note_is_one_sentence_with_the_numbers() -> None:
    rng = np.random.default_rng(0)
    found = against(predictions(rng, 2000), predictions(rng, 200, sure=1.0))
    assert found["note"].startswith(
        "Drifted: of 200 predictions against 2000, the population stability index is "
        f"{found['psi_classes']:.2f} for the class shares (up to "
    )
    assert f"and {found['psi_confidence']:.2f} for the confidence shares" in found["note"]
    assert found["note"].endswith(".")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def seen(rng: np.random.Generator, samples: int, width: int = 64) -> np.ndarray:
    """Features as a network's are: correlated, not negative, some of them always zero."""
    mixed = rng.normal(size=(samples, 8)) @ np.random.default_rng(7).normal(size=(8, width))
    return np.maximum(mixed + rng.normal(size=(samples, width)) - 1, 0).astype(np.float32) * (
        np.arange(width) % 4 > 0
    )


def shifts(before: np.ndarray, after: np.ndarray) -> dict:
    logits = predictions(np.random.default_rng(0), 4000)
    known = describe(logits[: len(before)], before)
    same = describe(logits[: len(after)], after, known["edges"])
    return compare(known, same)


@pytest.mark.parametrize("samples", [20, 100, 1000])
@pytest.mark.parametrize("width", [64, 400])
def test_features_of_one_population_have_not_moved(samples: int, width: int) -> None:
    rng = np.random.default_rng(0)
    before = describe(predictions(rng, 1000), seen(rng, 1000, width))
    limits, squares = [], []
    for _ in range(40):
        after = {"count": samples, "features": describe(predictions(rng, samples),
                 seen(rng, samples, width))["features"]}  # fmt: skip
        shift, limit = feature_shift(before, after)
        limits.append(shift > limit)
        squares.append(shift**2 / (1 / 1000 + 1 / samples))
    assert sum(limits) <= 1
    assert np.mean(squares) < 0.6


def test_features_that_moved_are_measured_in_their_own_spread() -> None:
    rng = np.random.default_rng(0)
    before, after = seen(rng, 1000), seen(rng, 1000)
    size = np.sqrt(before.var(axis=0).sum() / 64)
    for step, verdict in ((0.0, "stable"), (0.3, "shifted"), (0.7, "drifted")):
        found = shifts(before, after + np.float32(step * size))
        assert found["verdict"] == verdict
        assert found["feature_shift"] == pytest.approx(step, abs=0.05)
    assert shifts(5 * before, 5 * after + 1.5 * size)["feature_shift"] == pytest.approx(
        0.3, abs=0.05
    )


def test_dimensions_are_those_that_vary_by_themselves() -> None:
    rng = np.random.default_rng(0)
    logits = predictions(rng, 2000)
    free = rng.normal(size=(2000, 50)).astype(np.float32)
    assert describe(logits, free)["features"]["dimensions"] == pytest.approx(50, rel=0.05)
    tied = np.repeat(free[:, :5], 10, axis=1)
    assert describe(logits, tied)["features"]["dimensions"] == pytest.approx(5, rel=0.05)
    few = describe(logits[:30], rng.normal(size=(30, 400)).astype(np.float32))
    assert few["features"]["dimensions"] == 29
    assert describe(logits, np.ones((2000, 3), np.float32))["features"]["variance"] == 0


def test_a_number_added_to_every_logit_is_no_drift() -> None:
    rng = np.random.default_rng(0)
    logits, features = predictions(rng, 2000), seen(rng, 2000)
    known = describe(logits[:1000], features[:1000])
    plain = describe(logits[1000:], features[1000:], known["edges"])
    added = describe(logits[1000:] + 5, features[1000:], known["edges"])
    found = compare(known, added)
    assert found["verdict"] == "stable"
    assert found["feature_shift"] == compare(known, plain)["feature_shift"] < 0.05


def test_statistics_of_an_older_version_have_no_features() -> None:
    rng = np.random.default_rng(0)
    known = describe(predictions(rng, 500))
    del known["features"]
    known["embedding_means"] = [1.0, 2.0]
    found = compare(known, describe(predictions(rng, 500), seen(rng, 500), known["edges"]))
    assert (found["verdict"], found["feature_shift"]) == ("stable", None)
    assert "how far the features moved is unknown" in found["note"]


def test_other_bins_are_told() -> None:
    rng = np.random.default_rng(0)
    known, other = describe(predictions(rng, 100)), describe(predictions(rng, 100))
    with pytest.raises(UserError) as caught:
        compare(known, other)
    assert str(caught.value) == (
        "the two sets of predictions were counted in different bins\n"
        "hint: describe the observed set with the reference's `edges`, and with the same classes"
    )
