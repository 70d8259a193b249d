"""Any number of labels for each sample: one yes or no for each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def mean_average_precision(logits: Array, labels: Array) -> float:
    """The mean over the classes of the area under precision and recall, in percent; classes that
    no sample has do not count, nor samples whose labels are unknown (NaN).

    labels: (samples, classes), 0 or 1.
    """
    from sklearn.metrics import average_precision_score

    known = ~np.isnan(labels).any(axis=1)
    logits, wanted = logits[known], labels[known] > 0.5
    each = [
        average_precision_score(wanted[:, number], logits[:, number])
        for number in np.flatnonzero(wanted.any(axis=0))
    ]
    return float(100.0 * np.mean(each)) if each else float("nan")


def constant(labels: Array) -> float:
    """The mean average precision of scores that are the same for all samples, in percent: the share
    of the samples that a class belongs to."""
    shares = (labels[~np.isnan(labels).any(axis=1)] > 0.5).mean(axis=0)
    there = shares > 0
    return float(100.0 * shares[there].mean()) if there.any() else float("nan")


def agreement(logits: Array, reference: Array) -> float:
    """Share of samples that are given the same set of labels, at a probability of one half."""
    return float(((logits > 0) == (reference > 0)).all(axis=1).mean())


def sigmoid(logits: Array) -> Array:
    # Half a tanh, which does not overflow.
    shares: Array = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return shares
