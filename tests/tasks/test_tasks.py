from __future__ import annotations

import numpy as np
import pytest

from edgedistill.tasks import TASKS


def test_accuracy_counts_known_labels() -> None:
    logits = np.eye(4, 3)
    quality = TASKS["classification"].quality
    assert quality(logits, np.array([0, 1, 0, -1])) == pytest.approx(200 / 3)


def test_mean_average_precision_is_a_hundred_for_a_perfect_order() -> None:
    task = TASKS["multilabel"]
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    assert task.quality(labels * 4 - 2, labels) == 100.0
    # The third class has no sample and does not count; the first's best score is wrong.
    worse = np.array([[1.0, 0, 0], [2, 1, 0], [0.5, 1, 0], [-1, -1, 0]])
    assert task.quality(worse, labels) == pytest.approx(100 * ((1 / 2 + 2 / 3) / 2 + 1) / 2)
    unknown = np.vstack([labels, np.full((1, 3), np.nan, np.float32)])
    assert task.quality(np.vstack([labels, [[9, 9, 9]]]), unknown) == 100.0


def test_multilabel_decides_each_class_alone() -> None:
    task = TASKS["multilabel"]
    assert task.agreement is not None
    a, b = np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([[3.0, -0.1], [1.0, -1.0]])
    assert task.agreement(a, b) == 0.5
    assert task.scores(np.array([[0.0, 1000.0, -1000.0]])).tolist() == [[0.5, 1.0, 0.0]]


def test_r2_is_nothing_for_the_mean_and_a_hundred_for_the_truth() -> None:
    task = TASKS["regression"]
    labels = np.array([[1.0, 5.0], [2.0, 7.0], [3.0, 9.0], [np.nan, 0.0]])
    outputs = np.nan_to_num(labels)
    assert task.quality(outputs, labels) == 100.0
    assert task.quality(np.tile(labels[:3].mean(axis=0), (4, 1)), labels) == pytest.approx(0.0)
    assert task.agreement is None


def test_labels_are_mixed_by_their_shares() -> None:
    own, other = np.array([0, 1, 2, -1]), np.array([1, 1, -1, 0])
    shares = np.array([0.25, 0.5, 0.125, 0.75], np.float32)
    mixed = TASKS["classification"].labels.mixed(own, other, shares, 3)
    assert mixed.tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0.875], [0.75, 0, 0]]
    a = np.array([[1, 0], [1, 0], [0, np.nan]], np.float32)
    b = np.array([[0, 0], [np.nan, 1], [1, 1]], np.float32)
    shares = np.array([0.25, 0, 0.5], np.float32)
    mixed = TASKS["multilabel"].labels.mixed(a, b, shares, 2)
    assert np.array_equal(mixed, [[0.75, 0], [1, 0], [0.5, np.nan]], equal_nan=True)


def test_an_answer_to_two_images_in_one_may_be_either_s() -> None:
    outputs = np.eye(3)[[0, 1, 2, 2, 1]]
    own, other = np.zeros(5, np.int64), np.ones(5, np.int64)
    shares = np.array([0.1, 0.1, 0.1, 0.9, 0.0], np.float32)
    held = TASKS["classification"].labels.answered(own, other, shares, outputs)
    assert held.tolist() == [0, 1, 0, 1, 0]
    a, b = np.array([[1.0, 0], [1, 0]]), np.array([[0.0, 1], [0, 1]])
    held = TASKS["multilabel"].labels.answered(a, b, shares[:2] * [1, 0], outputs[:2])
    assert held.tolist() == [[1, 1], [1, 0]]
