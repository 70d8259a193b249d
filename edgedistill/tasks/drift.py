"""Are a model's predictions in the field still distributed as they were when it was judged?

No labels are needed, and no images leave the device: counts are enough. Confidences and shares
are in 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedistill.errors import UserError
from edgedistill.tasks.calibration import Floats, Logits, softmax

BINS = 10
FLOOR = 1e-4
SHIFTED, DRIFTED = 0.1, 0.25
"""Bounds of the population stability index as usually taken: below the first stable, above the
second a major change. A rule of thumb of credit scoring (Siddiqi 2006, "Credit Risk Scorecards"),
not a test: it knows nothing of the number of samples, hence `chance`."""
RARE = 5
"""Bins in which fewer samples are expected are counted together, as for a chi-square test."""
FEATURES_SHIFTED, FEATURES_DRIFTED = 0.2, 0.5
"""The like for the features, in standard deviations: what Cohen 1988 ("Statistical Power Analysis
for the Behavioral Sciences") calls a small and a medium difference of two means."""
CHANCE_DEVIATES = 3.09
"""The normal distribution's 99.9 % quantile: how seldom chance alone may look like a drift."""


class Moments(TypedDict):
    """Of features."""

    means: list[float]
    variance: float
    """The sum of all dimensions'."""
    dimensions: float
    """How many of equal variance and without correlation would vary as much."""


class Statistics(TypedDict):
    """Of a set of predictions; `describe` says what each of them is."""

    count: int
    class_shares: list[float]
    edges: list[float]
    confidence_shares: list[float]
    mean_confidence: float | None
    """None where bins alone were counted, as of `entropy`."""
    entropy: float | None
    features: Moments | None


Verdict = Literal["stable", "shifted", "drifted"]


class Drift(TypedDict):
    """How far two sets of predictions are apart; `compare` says what each of it is."""

    verdict: Verdict
    psi_classes: float | None
    psi_confidence: float | None
    confidence_shift: float | None
    feature_shift: float | None
    note: str


def describe(
    logits: Logits,
    features: NDArray[np.float32] | None = None,
    edges: Sequence[float] | None = None,
) -> Statistics:
    """The statistics of a set of predictions, for JSON: {count, class_shares, edges,
    confidence_shares, mean_confidence, entropy, features}.

    class_shares: how often each class is the answer; edges: where one bin of the confidence ends
    and the next, which includes it, begins; entropy: of the probabilities, mean, in nats.

    logits: (samples, classes), at least one sample; features: (samples, dimensions), what enters
    the model's last layer with weights; edges: those of the reference, for predictions to compare
    with it. Without, this is the reference: ten bins of as equal shares as equal confidences allow.
    """
    probabilities = softmax(logits)
    confidence = probabilities.max(axis=1)
    if edges is None:
        # Confidences that occur, so that no bin of the reference is empty.
        inner = np.linspace(0.0, 1.0, BINS + 1)[1:-1]
        cuts = np.unique(np.quantile(confidence, inner, method="inverted_cdf"))
        edges = cuts[cuts > confidence.min()].tolist()
    places = np.searchsorted(edges, confidence, side="right")
    answers = probabilities.argmax(axis=1)
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return {
        "count": len(logits),
        "class_shares": _shares(answers, logits.shape[1]),
        "edges": list(edges),
        "confidence_shares": _shares(places, len(edges) + 1),
        "mean_confidence": float(confidence.mean()),
        "entropy": float(-(probabilities * logarithms).sum(axis=1).mean()),
        "features": None if features is None else _moments(features),
    }


def _moments(features: NDArray[np.float32]) -> Moments:
    """With S the covariance, variance is tr S, and dimensions (tr S)^2 / tr S^2, its denominator
    freed of its bias (Bai & Saranadasa 1996, "Effect of high dimension: by an example of a two
    sample problem", eq. 3.6).
    """
    samples, width = features.shape
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    freedom = max(1, samples - 1)
    # The smaller of the two products has the same norm.
    product = centred.T @ centred if width <= samples else centred @ centred.T
    variance = float(np.trace(product)) / freedom
    squared = float((product**2).sum()) / freedom**2 - variance**2 / freedom
    most = float(min(width, freedom))
    dimensions = min(most, max(1.0, variance**2 / squared)) if squared > 0 else most
    means: list[float] = features.mean(axis=0, dtype=np.float64).tolist()
    return {"means": means, "variance": variance, "dimensions": dimensions}


def _shares(places: NDArray[np.int64], length: int) -> list[float]:
    shares: list[float] = (np.bincount(places, minlength=length) / len(places)).tolist()
    return shares


def population_stability(reference: ArrayLike, observed: ArrayLike, floor: float = FLOOR) -> float:
    """The population stability index of two lists of shares over the same bins: the sum of
    (observed - reference) ln(observed / reference), shares below `floor` counting as `floor`.

    Usually, below 0.1 is taken as stable and above 0.25 as a major change.
    """
    expected, found = np.maximum(reference, floor), np.maximum(observed, floor)
    return float(((found - expected) * np.log(found / expected)).sum())


def chance(bins: int, reference_count: int, observed_count: int) -> tuple[float, float]:
    """What the index is where nothing has drifted: its mean, and what it exceeds once in 1000.

    For small differences d = observed - reference, d ln(1 + d / r) is about d^2 / r, and d has
    the variance r (1 - r) (1/n + 1/m) for samples of n and m: the sum over B bins has the mean
    (B - 1) (1/n + 1/m), and index / (1/n + 1/m) is a chi-square of B - 1 degrees of freedom
    (Yurdakul & Naranjo 2020, "Statistical properties of the population stability index"). At
    least two bins.
    """
    freedom = bins - 1
    unit = 1.0 / reference_count + 1.0 / observed_count
    return freedom * unit, _quantile(freedom) * unit


def _quantile(freedom: float) -> float:
    """What a chi-square exceeds once in 1000, by Wilson & Hilferty 1931."""
    spread = 2.0 / (9.0 * freedom)
    return freedom * (1.0 - spread + CHANCE_DEVIATES * math.sqrt(spread)) ** 3


def compare(reference: Statistics, observed: Statistics) -> Drift:
    """Two results of `describe`, the second made with the first's edges: {verdict, psi_classes,
    psi_confidence, confidence_shift, feature_shift, note}.

    verdict: `drifted` or `shifted` where an index is at least at its bound and above what chance
    explains, else `stable`. psi_classes, psi_confidence (bounds 0.1 and 0.25): the population
    stability index less its mean under no drift, not below 0; bins in which fewer than 5 samples
    are expected are counted together, None where that leaves one. confidence_shift: of the mean,
    None where that is unknown.
    feature_shift (bounds 0.2 and 0.5): how far the mean of the features moved, in standard
    deviations of the reference's, see `feature_shift`; None where either has none. note: the
    verdict as one sentence.

    Nothing here sees what changes no answer: all is of probabilities, or of what enters the last
    layer. A number added to every logit is no drift.

    Raises UserError: the two were not counted in the same bins; too few samples for any index.
    """
    if reference["edges"] != observed["edges"] or len(reference["class_shares"]) != len(
        observed["class_shares"]
    ):
        raise UserError(
            "the two sets of predictions were counted in different bins",
            "describe the observed set with the reference's `edges`, and with the same classes",
        )
    found = {
        "class": _index(reference, observed, "class"),
        "confidence": _index(reference, observed, "confidence"),
    }
    moved = feature_shift(reference, observed)
    told = [
        *((index, SHIFTED, DRIFTED) for index in found.values() if index is not None),
        *([(moved, FEATURES_SHIFTED, FEATURES_DRIFTED)] if moved is not None else []),
    ]
    if not told:
        raise UserError(
            f"{observed['count']} predictions against {reference['count']} are too few to tell "
            "a drift from chance",
            "collect more of them",
        )
    real = [(index, *bounds) for (index, limit), *bounds in told if index > limit]
    verdict: Verdict = "stable"
    if any(index >= shifted for index, shifted, _ in real):
        verdict = "shifted"
    if any(index >= drifted for index, _, drifted in real):
        verdict = "drifted"
    return {
        "verdict": verdict,
        "psi_classes": found["class"] and found["class"][0],
        "psi_confidence": found["confidence"] and found["confidence"][0],
        "confidence_shift": _shift(reference["mean_confidence"], observed["mean_confidence"]),
        "feature_shift": moved and moved[0],
        "note": _note(verdict, reference, observed, found, moved),
    }


def _shift(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _index(
    reference: Statistics, observed: Statistics, name: Literal["class", "confidence"]
) -> tuple[float, float] | None:
    """The index less its mean under no drift, and how much of that chance explains."""
    counts = reference["count"], observed["count"]
    both_sets = reference, observed
    shares = np.array(
        [each["class_shares"] for each in both_sets]
        if name == "class"
        else [each["confidence_shares"] for each in both_sets]
    )
    # Bins are put together by both samples' counts: by one's alone, the other would seem to
    # have drifted away from its peaks.
    both = np.average(shares, axis=0, weights=counts)
    if name == "class":
        order = np.argsort(-both, kind="stable")
        shares, both = shares[:, order], both[order]
    place = _together(both, RARE / min(counts))
    if place[-1] == 0:
        return None
    expected, found = (np.bincount(place, each) for each in shares)
    # An empty bin counts as half a sample: a fixed floor would weigh the more the fewer there are.
    index = population_stability(expected, found, floor=0.5 / min(counts))
    mean, limit = chance(len(expected), *counts)
    return max(0.0, index - mean), limit - mean


def _together(shares: Floats, least: float) -> NDArray[np.int64]:
    """A number for each bin, the same for neighbours that are counted together: until they hold
    `least`, and what is left over at the end."""
    place = np.empty(len(shares), np.int64)
    number, filled = 0, 0.0
    for at, share in enumerate(shares):
        place[at] = number
        filled += share
        if filled >= least:
            number, filled = number + 1, 0.0
    return place


def feature_shift(reference: Statistics, observed: Statistics) -> tuple[float, float] | None:
    """How far the mean of the features moved, and how far chance alone would move it once in 1000;
    None where either has no features, or fewer than 5 samples, or they do not vary.

    With d the difference of the means, S the reference's covariance and u = 1/n + 1/m, the shift is
    the root of |d|^2 / tr S less u, which it is on average where nothing has drifted. There,
    |d|^2 / (u tr S) is about a chi-square over its degrees of freedom (tr S)^2 / tr S^2 (Dempster
    1958, "A high dimensional two sample significance test").
    """
    before, after = reference.get("features"), observed.get("features")
    counts = reference["count"], observed["count"]
    if not before or not after or min(counts) < RARE or before["variance"] <= 0:
        return None
    unit = sum(1.0 / count for count in counts)
    apart = np.array(after["means"]) - np.array(before["means"])
    squared = float(apart @ apart) / before["variance"]
    freedom = before["dimensions"]
    limit = unit * (_quantile(freedom) / freedom - 1.0)
    return math.sqrt(max(0.0, squared - unit)), math.sqrt(limit)


def _note(
    verdict: str,
    reference: Statistics,
    observed: Statistics,
    found: dict[str, tuple[float, float] | None],
    moved: tuple[float, float] | None,
) -> str:
    indices = " and ".join(
        f"{index[0]:.2f} for the {name} shares (up to {index[1]:.2f} is chance)"
        if index
        else f"unknown for the {name} shares (too few samples or bins)"
        for name, index in found.items()
    )
    features = (
        f"the features' mean moved by {moved[0]:.2f} standard deviations (up to {moved[1]:.2f} is "
        "chance)"
        if moved
        else "how far the features moved is unknown"
    )
    means = [each["mean_confidence"] for each in (reference, observed)]
    known = [f"{each:.2f}" for each in means if each is not None]
    moved_to = f"went from {' to '.join(known)}" if len(known) == 2 else "is unknown"
    return (
        f"{verdict.capitalize()}: of {observed['count']} predictions against "
        f"{reference['count']}, the population stability index is {indices}; {features}; "
        f"mean confidence {moved_to}."
    )
