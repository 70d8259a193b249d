"""One class for each sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def accuracy(logits: Array, labels: Array) -> float:
    """Top-1 accuracy, in percent, where the label is known (not -1)."""
    known = labels >= 0
    return float(100.0 * (logits.argmax(axis=1) == labels)[known].mean())


def constant(labels: Array) -> float:
    """The accuracy of the most frequent class, always, in percent."""
    known = labels[labels >= 0]
    return float(100.0 * np.bincount(known).max() / len(known)) if len(known) else float("nan")


def agreement(logits: Array, reference: Array) -> float:
    """Share of samples with the same top-1."""
    return float((logits.argmax(axis=1) == reference.argmax(axis=1)).mean())
