from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.data.splits import held_out, limited
from edgedistill.tasks import TASKS
from edgedistill.tasks.strata import iterative

FORM = TASKS["multilabel"].labels
SHARES = np.array([0.5, 0.3, 0.1, 0.02, 0.005])


def some_labels(samples: int = 4000, seed: int = 0) -> np.ndarray:
    """(samples, 5): labels that come together more often than by chance, two of them rare."""
    rng = np.random.default_rng(seed)
    easy = rng.random((samples, 1)) < 0.5
    return (rng.random((samples, 5)) < np.where(easy, 1.4, 0.6) * SHARES).astype(np.float32)


def test_every_label_has_its_share_held_out_the_rare_ones_too() -> None:
    labels = some_labels()
    chosen = held_out(labels, 0.2, 7, FORM)
    assert chosen.sum() == 800
    assert np.abs(labels[chosen].sum(axis=0) - 0.2 * labels.sum(axis=0)).max() <= 1.0
    # A draw that knows no labels is worse.
    rare = labels[:, 4] > 0
    blind = [np.random.default_rng(seed).permutation(4000)[:800] for seed in range(20)]
    apart = np.mean([abs(rare[ids].sum() - 0.2 * rare.sum()) for ids in blind])
    assert abs(labels[chosen][:, 4].sum() - 0.2 * rare.sum()) < apart


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.floats(0.05, 0.8))
def test_the_count_is_exact(seed: int, samples: int, share: float) -> None:
    labels = some_labels(samples, seed)
    count = max(0, min(max(1, round(share * samples)), samples - 1))
    assert iterative(labels, count, np.random.default_rng(seed).random(samples)).sum() == count


def test_two_samples_of_a_label_come_to_both_sides() -> None:
    labels = np.repeat(np.eye(3, dtype=np.float32), [2, 1, 50], axis=0)
    chosen = held_out(labels, 0.2, 0, FORM)
    assert labels[chosen].sum(axis=0).tolist() == [1.0, 0.0, 10.0]


def test_the_seed_alone_decides() -> None:
    labels = some_labels(500)
    assert np.array_equal(held_out(labels, 0.3, 1, FORM), held_out(labels, 0.3, 1, FORM))
    assert not np.array_equal(held_out(labels, 0.3, 1, FORM), held_out(labels, 0.3, 2, FORM))


def test_a_limit_keeps_the_shares() -> None:
    labels = some_labels()
    used = limited(labels, 1000, 3, FORM)
    assert used.sum() == 1000
    assert np.abs(labels[used].sum(axis=0) - 0.25 * labels.sum(axis=0)).max() <= 1.0
    assert limited(labels, 10_000, 3, FORM).all()


def test_samples_without_any_label_are_dealt_out_too() -> None:
    labels = np.zeros((10, 2), np.float32)
    assert held_out(labels, 0.3, 0, FORM).sum() == 3
