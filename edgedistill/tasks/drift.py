"""Are a model's predictions in the field still distributed as they were when it was judged?

No labels are needed, and no images leave the device: counts are enough. Confidences and shares
are in 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

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
CHANCE_DEVIATES = 3.09
"""The normal distribution's 99.9 % quantile: how seldom chance alone may look like a drift."""


def describe(
    logits: Logits,
    embedding_means: NDArray[np.float32] | None = None,
    edges: Sequence[float] | None = None,
) -> dict[str, Any]:
    """The statistics of a set of predictions, for JSON: {count, class_shares, edges,
    confidence_shares, mean_confidence, entropy, embedding_means}.

    class_shares: how often each class is the answer; edges: where one bin of the confidence ends
    and the next, which includes it, begins; entropy: of the probabilities, mean, in nats.

    logits: (samples, classes), at least one sample; embedding_means: (dimensions,), kept as they
    are; edges: those of the reference, for predictions to compare with it. Without, this is the
    reference: ten bins of as equal shares as equal confidences allow.
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
        "embedding_means": None if embedding_means is None else embedding_means.tolist(),
    }


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
    (Yurdakul & Naranjo 2020, "Statistical properties of the population stability index"). Its
    quantile by Wilson & Hilferty 1931. At least two bins.
    """
    freedom = bins - 1
    unit = 1.0 / reference_count + 1.0 / observed_count
    spread = 2.0 / (9.0 * freedom)
    quantile = freedom * (1.0 - spread + CHANCE_DEVIATES * math.sqrt(spread)) ** 3
    return freedom * unit, quantile * unit


def compare(reference: dict[str, Any], observed: dict[str, Any]) -> dict[str, Any]:
    """Two results of `describe`, the second made with the first's edges: {verdict, psi_classes,
    psi_confidence, confidence_shift, embedding_shift, note}.

    verdict: `drifted` or `shifted` where one of the two indices is at least 0.25 or 0.1 and above
    what chance explains, else `stable`. psi_classes, psi_confidence: the population stability
    index less its mean under no drift, not below 0; bins in which fewer than 5 samples are
    expected are counted together, None where that leaves one. confidence_shift: of the mean.
    embedding_shift: length of the difference of the embeddings' means over that of the
    reference's; means alone do not say how far chance moves them, so the verdict leaves it out.
    note: the verdict as one sentence.

    Raises UserError: the two were not counted in the same bins; too few samples for any index.
    """
    if reference["edges"] != observed["edges"] or len(reference["class_shares"]) != len(
        observed["class_shares"]
    ):
        raise UserError(
            "the two sets of predictions were counted in different bins",
            "describe the observed set with the reference's `edges`, and with the same classes",
        )
    found = {name: _index(reference, observed, name) for name in ("class", "confidence")}
    told = [index for index in found.values() if index is not None]
    if not told:
        raise UserError(
            f"{observed['count']} predictions against {reference['count']} are too few to tell "
            "a drift from chance",
            "collect more of them",
        )
    verdict = "stable"
    for bound, word in ((SHIFTED, "shifted"), (DRIFTED, "drifted")):
        if any(index >= bound and index > limit for index, limit in told):
            verdict = word
    return {
        "verdict": verdict,
        "psi_classes": found["class"] and found["class"][0],
        "psi_confidence": found["confidence"] and found["confidence"][0],
        "confidence_shift": observed["mean_confidence"] - reference["mean_confidence"],
        "embedding_shift": _moved(reference["embedding_means"], observed["embedding_means"]),
        "note": _note(verdict, reference, observed, found),
    }


def _index(
    reference: dict[str, Any], observed: dict[str, Any], name: str
) -> tuple[float, float] | None:
    """The index less its mean under no drift, and how much of that chance explains."""
    counts = reference["count"], observed["count"]
    shares = np.array([each[f"{name}_shares"] for each in (reference, observed)])
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


def _moved(reference: list[float] | None, observed: list[float] | None) -> float | None:
    if reference is None or observed is None:
        return None
    before = np.array(reference)
    return float(np.linalg.norm(np.array(observed) - before) / np.linalg.norm(before))


def _note(
    verdict: str,
    reference: dict[str, Any],
    observed: dict[str, Any],
    found: dict[str, tuple[float, float] | None],
) -> str:
    indices = " and ".join(
        f"{index[0]:.2f} for the {name} shares (up to {index[1]:.2f} is chance)"
        if index
        else f"unknown for the {name} shares (too few samples or bins)"
        for name, index in found.items()
    )
    return (
        f"{verdict.capitalize()}: of {observed['count']} predictions against "
        f"{reference['count']}, the population stability index is {indices}; mean confidence "
        f"went from {reference['mean_confidence']:.2f} to {observed['mean_confidence']:.2f}."
    )
