"""Logistic regression from embeddings to classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Of the fit to the labels against the penalty on the weights: the best on validation is taken."""


def fit(inside: Floats, labels: Ids, tried: Floats, tried_labels: Ids) -> tuple[Floats, Floats]:
    """Weights (dimensions, classes) and bias (classes,) for embeddings as they come, fitted to
    `inside` (samples, dimensions) with each dimension brought to one deviation. The strength is
    that which is best on `tried`; of `labels`, every class has samples.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = inside.mean(axis=0), np.maximum(inside.std(axis=0), 1e-6)
    best, layer = -1.0, None
    for strength in STRENGTHS:
        found = LogisticRegression(C=strength, max_iter=500)
        found.fit((inside - mean) / deviation, labels)
        right = float(found.score((tried - mean) / deviation, tried_labels))
        if right > best:
            best, layer = right, found
    assert layer is not None, "some strength is the best"
    rows, offsets = (np.asarray(each, np.float64) for each in (layer.coef_, layer.intercept_))
    if len(rows) == 1:  # of two classes, for the second
        rows, offsets = np.concatenate([-rows, rows]) / 2, np.array([-offsets[0], offsets[0]]) / 2
    scaled = rows / deviation
    return scaled.T.astype(np.float32), (offsets - scaled @ mean).astype(np.float32)
