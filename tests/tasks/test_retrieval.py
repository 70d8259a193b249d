from __future__ import annotations

import numpy as np
import pytest

from edgedistill.tasks.retrieval import Retrieval, Texts

TEXTS = Texts(np.eye(3, dtype=np.float32), scale=10.0)
"""Three captions at right angles."""


def test_recall_looks_for_an_image_s_own_caption_whatever_the_image_s_length() -> None:
    images = np.array([[5.0, 1, 0], [0.1, 0, 0.2], [0, 0.3, 1], [1, 1, 1]])
    labels = np.array([0, 0, 1, -1])
    assert TEXTS.recall(images, labels) == pytest.approx(100 / 3)
    assert TEXTS.recall(images, labels, k=2) == 100.0


def test_precision_looks_for_the_images_of_a_caption() -> None:
    images = np.array([[1.0, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0.5, 0.6, 0]])
    labels = np.array([0, 1, 1, 0])
    # Nearest to the first caption: right, wrong; to the second: right, wrong; none has the third.
    assert TEXTS.precision(images, labels, k=2) == 50.0


def test_scores_are_shares_and_agreement_is_of_the_nearest_caption() -> None:
    task = Retrieval(TEXTS)
    assert task.agreement is not None
    first, second = np.eye(3), np.eye(3)[[0, 1, 0]]
    assert task.agreement(first, 7 * second) == pytest.approx(2 / 3)
    shares = task.scores(first)
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.allclose(shares[0, 1] / shares[0, 0], np.exp(-10))
    assert set(task.further(first, np.arange(3))) == {
        "recall_at_5", "text_to_image_precision_at_10",
    }  # fmt: skip
