from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.records import as_json, from_json
from edgedistill.records.audit import StudentAudit
from edgedistill.tasks import audit as figures
from edgedistill.tasks.audit import (
    agreement,
    audit,
    auroc,
    confidence_histogram,
    coverage,
    drops,
    hardness,
    margins,
    ood,
    teacher_errors,
)

CLASSES = ["bird", "cat", "ship"]


def answering(answers: list[int], gap: float = 3.0, classes: int = 3) -> np.ndarray:
    """Logits that answer so, each sure by `gap`."""
    return (gap * np.eye(classes)[answers]).astype(np.float32)


LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
TEACHER = answering([0, 0, 0, 1, 1, 1, 2, 2, 2, 0], gap=4.0)
STUDENT = answering([0, 0, 1, 1, 1, 1, 1, 2, 2, 1])


def test_agreement_parts_every_sample() -> None:
    assert as_json(agreement(STUDENT, TEACHER, LABELS)) == {
        "both_right": {"count": 6, "share": 0.6},
        "teacher_better": {"count": 1, "share": 0.1},
        "student_better": {"count": 1, "share": 0.1},
        "copied_errors": {"count": 1, "share": 0.1},
        "different_errors": {"count": 1, "share": 0.1},
        "copied_error_share": 1 / 3,
    }


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_agreement_adds_up(seed: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    student, teacher = rng.normal(size=(2, samples, 4)).astype(np.float32)
    labels = rng.integers(0, 4, samples)
    parts = as_json(agreement(student, teacher, labels))
    share = parts.pop("copied_error_share")
    assert sum(part["count"] for part in parts.values()) == samples
    same = np.count_nonzero(student.argmax(1) == teacher.argmax(1))
    assert parts["both_right"]["count"] + parts["copied_errors"]["count"] == same
    assert share is None or 0 <= share <= 1


def test_a_flawless_teacher_has_no_errors_to_copy() -> None:
    assert agreement(STUDENT, answering(LABELS.tolist()), LABELS).copied_error_share is None


def test_audit_holds_classes_against_the_teacher() -> None:
    report = audit(STUDENT, TEACHER, LABELS, CLASSES, train_counts=[400, 20, 300])
    assert as_json(report.overall) == {
        "samples": 10, "student_accuracy": 70.0, "teacher_accuracy": 70.0, "retention": 1.0,
    }  # fmt: skip
    bird, cat, ship = report.classes
    assert as_json(bird) == {
        "class": "bird", "samples": 4, "student_accuracy": 50.0, "teacher_accuracy": 75.0,
        "retention": pytest.approx(2 / 3), "train_count": 400,
    }  # fmt: skip
    assert cat.retention == pytest.approx(1.5)
    assert report.worst is bird
    assert report.rarest == (cat, ship, bird)


def test_audit_shows_both_calibrations_and_the_slices() -> None:
    dark = LABELS == 0
    report = audit(
        STUDENT, TEACHER, LABELS, CLASSES, slices={"dark": dark, "nothing": np.zeros(10, bool)}
    )
    assert [as_json(each) for each in report.slices] == [
        {"slice": "dark", "samples": 4, "student_accuracy": 50.0, "teacher_accuracy": 75.0,
         "retention": pytest.approx(2 / 3)},
        {"slice": "nothing", "samples": 0, "student_accuracy": None, "teacher_accuracy": None,
         "retention": None},
    ]  # fmt: skip
    sure = np.exp(3) / (np.exp(3) + 2)
    assert report.student.overconfidence == pytest.approx(100 * sure - 70)
    assert report.teacher.confidence > report.student.confidence
    assert report.rarest == ()
    assert (
        from_json(StudentAudit, json.loads(json.dumps(as_json(report), allow_nan=False))) == report
    )


def test_audit_without_a_teacher_says_what_it_can() -> None:
    report = audit(STUDENT, None, LABELS, [*CLASSES, "truck"])
    assert report.overall.teacher_accuracy is None
    assert report.overall.retention is None
    assert report.worst.class_ == "bird"
    assert report.classes[3].student_accuracy is None
    assert (report.teacher, report.agreement, report.hardness) == (None, None, None)


def test_a_class_the_teacher_never_gets_right_has_no_retention() -> None:
    labels = np.array([0, 1, 1])
    report = audit(answering([0, 1, 0]), answering([0, 0, 0]), labels, CLASSES[:2])
    assert report.classes[1].retention is None
    assert report.worst.class_ == "bird"


def test_hardness_sorts_by_the_teacher_s_margin() -> None:
    gaps = np.array([8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0])
    teacher = np.stack([gaps, np.zeros(8)], axis=1).astype(np.float32)
    hard = gaps <= 2
    rows = hardness(answering(hard.astype(int).tolist(), classes=2), teacher, np.zeros(8, int))
    assert [row.student_accuracy for row in rows] == [0.0, 100.0, 100.0, 100.0]
    assert [row.samples for row in rows] == [2, 2, 2, 2]
    assert rows[0].quartile == 1
    assert rows[0].margin_low == pytest.approx(np.tanh(0.5))
    assert rows[0].margin_high == pytest.approx(np.tanh(1.0))


def test_hardness_leaves_out_quartiles_without_samples() -> None:
    rows = hardness(STUDENT[:2], TEACHER[:2], LABELS[:2])
    assert [row.quartile for row in rows] == [1, 2]


def test_drops_tell_what_each_step_lost() -> None:
    labels = np.array([0, 0, 1, 1])
    stages = {
        "float": answering([0, 0, 1, 0]),
        "pruned": answering([0, 1, 1, 1]),
        "int8": answering([1, 1, 1, 1]),
    }
    pruned, int8 = drops(stages, labels)
    assert (pruned.stage, pruned.before) == ("pruned", "float")
    assert (pruned.accuracy_before, pruned.accuracy, pruned.drop) == (75.0, 75.0, 0.0)
    assert (pruned.became_wrong, pruned.became_right) == (1, 1)
    assert [as_json(each) for each in pruned.classes] == [
        {"class": 0, "samples": 2, "accuracy": 50.0, "drop": 50.0,
         "became_wrong": 1, "became_right": 0},
        {"class": 1, "samples": 2, "accuracy": 100.0, "drop": -50.0,
         "became_wrong": 0, "became_right": 1},
    ]  # fmt: skip
    assert (int8.before, int8.drop, int8.became_wrong) == ("pruned", 25.0, 1)


SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=30).map(lambda x: np.array(x) / 6)


@settings(max_examples=100, deadline=None)
@given(SCORES, SCORES)
def test_auroc_counts_pairs_and_is_symmetric(positive: np.ndarray, negative: np.ndarray) -> None:
    apart = positive[:, None] - negative[None, :]
    pairs = ((apart > 0) + 0.5 * (apart == 0)).mean()
    assert auroc(positive, negative) == pytest.approx(pairs)
    assert auroc(positive, negative) + auroc(negative, positive) == pytest.approx(1.0)


def test_ood_is_1_where_confidence_parts_the_two() -> None:
    known, strange = answering([0, 1, 2], gap=5.0), answering([0, 1], gap=0.5)
    found = ood(known, strange)
    assert found.auroc == 1.0
    assert found.in_confidence == pytest.approx(np.exp(5) / (np.exp(5) + 2))
    assert found.out_confidence == pytest.approx(np.exp(0.5) / (np.exp(0.5) + 2))
    assert ood(known, known).auroc == 0.5


def test_margins_are_between_the_two_most_probable() -> None:
    logits = np.log(np.array([[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]], np.float32))
    assert np.allclose(margins(logits), [0.2, 0.7])


def test_teacher_errors_name_the_most_frequent_confusions() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    logits = answering([1, 1, 0, 0, 1, 2])
    logits[2] = [0.1, 0.0, 0.0]
    report = teacher_errors(logits, labels, CLASSES, np.array([0.4, 0.99999999, 1, 1, 0.9, 1]))
    told = as_json(report)
    assert sum(each.pop("count") for each in told.pop("confidence")) == 6
    assert told == {
        "samples": 6,
        "wrong": {"count": 3, "share": 0.5},
        "unsure": {"count": 1, "share": pytest.approx(1 / 6)},
        "disagreeing": {"count": 2, "share": pytest.approx(1 / 3)},
        "confusions": [
            {"from": "bird", "to": "cat", "count": 2},
            {"from": "cat", "to": "bird", "count": 1},
        ],
    }


def test_unknown_labels_are_no_errors() -> None:
    report = teacher_errors(answering([0, 1, 2]), np.array([0, -1, 0]), CLASSES)
    assert (report.samples, report.wrong.count) == (2, 1)
    assert sum(each.count for each in report.confidence) == 3


def test_a_flawless_teacher_confuses_nothing() -> None:
    report = teacher_errors(answering([0, 1, 2]), np.arange(3), CLASSES)
    assert report.wrong.count == 0
    assert report.confusions == ()
    assert report.disagreeing is None


def test_histogram_holds_every_sample() -> None:
    rows = confidence_histogram(np.array([[0.0, 0.0], [0.0, 0.0], [1e4, 0.0]], np.float32))
    assert [row.count for row in rows] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert as_json(rows[5]) == {"low": 0.5, "high": pytest.approx(0.6), "count": 2, "share": 2 / 3}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 400), st.floats(0.5, 1.0))
def test_coverage_is_that_of_all_pairs(seed: int, block: int, quantile: float) -> None:
    rng = np.random.default_rng(seed)
    offset = 50 * rng.normal(size=6)
    train = (rng.normal(size=(40, 6)) + offset).astype(np.float32)
    test = (1.5 * rng.normal(size=(30, 6)) + offset).astype(np.float32)
    own = np.linalg.norm(train[:, None].astype(float) - train, axis=2)
    np.fill_diagonal(own, np.inf)
    held = np.linalg.norm(test[:, None].astype(float) - train, axis=2).min(axis=1)
    limit = np.quantile(own.min(axis=1), quantile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "BLOCK", block)
        found = coverage(train, test, quantile)
    assert found.distance == pytest.approx(limit, rel=1e-4)
    assert np.count_nonzero(held > limit * 1.001) <= found.uncovered
    assert found.uncovered <= np.count_nonzero(held > limit * 0.999)
    assert found.uncovered_share == found.uncovered / 30
    assert found.expected_share == pytest.approx(1 - quantile)


def test_coverage_finds_what_training_has_nothing_like() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(500, 8)).astype(np.float32)
    near = rng.normal(size=(200, 8)).astype(np.float32)
    far = near[:50] + np.float32(20)
    found = coverage(train, np.concatenate([near, far]))
    assert 50 <= found.uncovered <= 60
    assert found.samples == 250
    assert coverage(train, train[:100]).uncovered == 0
