"""How far a classifier's confidence, its largest probability, can be believed.

Accuracy, calibration error and overconfidence are in percent, confidence in 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistill.records.audit import Calibration, ConfidenceBin

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

BINS = 15
SHARPEST, SOFTEST = 0.05, 20.0
"""Bounds of a fitted temperature."""


def softmax(logits: Logits, temperature: float = 1.0) -> Floats:
    """Probabilities (samples, classes) of logits (samples, classes), divided by `temperature`."""
    powers = _below_largest(logits)
    powers /= temperature
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def confidence(logits: Logits, temperature: float = 1.0) -> Floats:
    """The largest probability (samples,) of each row of logits (samples, classes)."""
    largest: Floats = softmax(logits, temperature).max(axis=1)
    return largest


def negative_log_likelihood(logits: Logits, labels: Labels, temperature: float = 1.0) -> float:
    """Mean over the samples, in nats. logits: (samples, classes), labels: (samples,)."""
    scaled = _below_largest(logits)
    scaled /= temperature
    chosen = scaled[np.arange(len(labels)), labels]
    return float((np.log(np.exp(scaled).sum(axis=1)) - chosen).mean())


def _below_largest(logits: Logits) -> Floats:
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    return exact


def reliability(confidence: Floats, right: Mask, bins: int = BINS) -> tuple[ConfidenceBin, ...]:
    """The reliability diagram of Guo et al. 2017, section 2: bins of equal width, open below and
    closed above, over 0..1. Where a bin is empty, its confidence and accuracy are None.

    confidence, right: (samples,).
    """
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    certain = np.bincount(place, confidence, minlength=bins)
    hits = np.bincount(place, right, minlength=bins)
    return tuple(
        ConfidenceBin(
            low=at / bins,
            high=(at + 1) / bins,
            count=int(count[at]),
            confidence=float(certain[at] / count[at]) if count[at] else None,
            accuracy=float(100.0 * hits[at] / count[at]) if count[at] else None,
        )
        for at in range(bins)
    )


def expected_calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """In percent, of what `reliability` gives: the bins' gaps between confidence and accuracy,
    weighed by their samples. Guo et al. 2017, eq. 3."""
    gaps = (
        each.count * abs(100.0 * each.confidence - each.accuracy)
        for each in bins
        if each.confidence is not None and each.accuracy is not None
    )
    return float(sum(gaps) / sum(each.count for each in bins))


def overconfidence(confidence: Floats, right: Mask) -> float:
    """Mean confidence minus accuracy, (samples,) each, in percentage points; below 0 the model is
    too modest."""
    return float(100.0 * (confidence.mean() - right.mean()))


def summary(logits: Logits, labels: Labels, temperature: float = 1.0) -> Calibration:
    """Of at least one sample. logits: (samples, classes), labels: (samples,)."""
    certain = confidence(logits, temperature)
    right = logits.argmax(axis=1) == labels
    bins = reliability(certain, right)
    return Calibration(
        accuracy=float(100.0 * right.mean()),
        confidence=float(certain.mean()),
        overconfidence=overconfidence(certain, right),
        ece=expected_calibration_error(bins),
        nll=negative_log_likelihood(logits, labels, temperature),
        reliability=bins,
    )


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """The temperature of the least negative log likelihood (Guo et al. 2017, section 4.2).

    The likelihood is convex in 1/temperature, so its slope changes sign once: bisection, on a
    scale of logarithms. Where every answer is right, or nearly, the sharper the better: the lower
    bound. 1 where no temperature makes a difference.

    logits: (samples, classes), labels: (samples,). Give samples that the model was not trained on.
    """
    # A probability of exactly zero, a logit of minus infinity, would make the slope undefined.
    gaps = np.maximum(_below_largest(logits), -1e30)
    chosen = gaps[np.arange(len(labels)), labels]
    if _slope(gaps, chosen, 1.0) == 0.0:
        return 1.0
    low, high = np.log(SHARPEST), np.log(SOFTEST)
    for _ in range(30):
        middle = (low + high) / 2
        if _slope(gaps, chosen, np.exp(-middle)) > 0.0:
            low = middle
        else:
            high = middle
    return float(np.clip(np.exp((low + high) / 2), SHARPEST, SOFTEST))


def _slope(gaps: Floats, chosen: Floats, sharpness: float) -> float:
    """Of the negative log likelihood over sharpness, 1/temperature: the mean logit under the
    model's own probabilities, minus the label's."""
    weights = np.exp(gaps * sharpness)
    expected = np.einsum("ij,ij->i", weights, gaps) / weights.sum(axis=1)
    return float((expected - chosen).mean())
