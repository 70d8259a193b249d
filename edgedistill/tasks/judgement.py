"""The audit of a student against its teacher: where it lost, what it copied, how sure it is.

Accuracies are in percent, drops in percentage points; shares, retention, margins and confidences
are in 0..1. Where a number has nothing to stand on (no samples, no teacher) it is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.tasks.calibration import Floats, Labels, Logits, Mask, confidence, softmax, summary

Vectors = NDArray[np.float32]
Row = dict[str, Any]

RAREST = 5
QUARTILES = 4
UNSURE_MARGIN = 0.1
"""The teacher is unsure where its two most probable classes are less than this apart."""
UNANIMOUS = 0.999
"""An ensemble's members agree from this share of their weight on; weights are float32."""
CONFUSIONS = 10
BLOCK = 16_000_000
"""Distances held at once, float32: 64 MB."""


def audit(
    student: Logits,
    teacher: Logits | None,
    labels: Labels,
    classes: Sequence[str],
    train_counts: Sequence[int] | None = None,
    slices: Mapping[str, Mask] | None = None,
) -> dict[str, Any]:
    """Everything that labels tell of a student, and of its teacher where there is one.

    student, teacher: logits (samples, classes); labels: (samples,); train_counts: the training
    images of each class; slices: name to mask (samples,). Returns a dict for JSON:

    - overall: see below; classes, slices: a list of the same, with their `class` or `slice`, and
      classes with their `train_count`: {samples, student_accuracy, teacher_accuracy, retention},
      retention being student's over teacher's accuracy;
    - worst: the row of the class with the least retention, without a teacher the least accuracy;
    - rarest: the rows of up to 5 classes with the fewest training images, the rarest first;
    - student, teacher: their calibration, as `calibration.summary` gives it;
    - agreement, hardness: as `agreement` and `hardness` give them, None without a teacher.
    """
    student_right = _right(student, labels)
    teacher_right = None if teacher is None else _right(teacher, labels)

    def score(chosen: Mask) -> Row:
        theirs = None if teacher_right is None else teacher_right[chosen]
        return _score(student_right[chosen], theirs)

    rows = [
        {
            "class": name,
            **score(labels == number),
            "train_count": None if train_counts is None else int(train_counts[number]),
        }
        for number, name in enumerate(classes)
    ]
    by_count = [] if train_counts is None else sorted(rows, key=lambda row: row["train_count"])
    return {
        "overall": _score(student_right, teacher_right),
        "classes": rows,
        "worst": _worst(rows),
        "rarest": by_count[:RAREST],
        "slices": [{"slice": name, **score(mask)} for name, mask in (slices or {}).items()],
        "student": summary(student, labels),
        "teacher": None if teacher is None else summary(teacher, labels),
        "agreement": None if teacher is None else agreement(student, teacher, labels),
        "hardness": None if teacher is None else hardness(student, teacher, labels),
    }


def _right(logits: Logits, labels: Labels) -> Mask:
    right: Mask = logits.argmax(axis=1) == labels
    return right


def _score(student_right: Mask, teacher_right: Mask | None) -> Row:
    student = _accuracy(student_right)
    teacher = None if teacher_right is None else _accuracy(teacher_right)
    return {
        "samples": len(student_right),
        "student_accuracy": student,
        "teacher_accuracy": teacher,
        "retention": student / teacher if student is not None and teacher else None,
    }


def _accuracy(right: Mask) -> float | None:
    return float(100.0 * right.mean()) if len(right) else None


def _worst(rows: list[Row]) -> Row | None:
    compared = any(row["retention"] is not None for row in rows)
    key = "retention" if compared else "student_accuracy"
    known = [row for row in rows if row[key] is not None]
    return min(known, key=lambda row: (row[key], row["student_accuracy"]), default=None)


def agreement(student: Logits, teacher: Logits, labels: Labels) -> dict[str, Any]:
    """Each sample in one of five parts, as {count, share}: `both_right`, `teacher_better` (only
    the teacher is right), `student_better`, `copied_errors` (both wrong, with the same answer),
    `different_errors`. And `copied_error_share`: of the teacher's errors, those that were copied.
    """
    ours, theirs = student.argmax(axis=1), teacher.argmax(axis=1)
    student_right, teacher_right = ours == labels, theirs == labels
    both_wrong = ~student_right & ~teacher_right
    parts = {
        "both_right": student_right & teacher_right,
        "teacher_better": ~student_right & teacher_right,
        "student_better": student_right & ~teacher_right,
        "copied_errors": both_wrong & (ours == theirs),
        "different_errors": both_wrong & (ours != theirs),
    }
    errors = int(np.count_nonzero(~teacher_right))
    copied = int(np.count_nonzero(parts["copied_errors"]))
    return {
        **{name: _part(mask) for name, mask in parts.items()},
        "copied_error_share": copied / errors if errors else None,
    }


def _part(mask: Mask) -> dict[str, Any]:
    count = int(np.count_nonzero(mask))
    return {"count": count, "share": count / len(mask)}


def hardness(student: Logits, teacher: Logits, labels: Labels) -> list[Row]:
    """Accuracy of both by quartile of the teacher's margin, the hardest first: rows {quartile,
    margin_low, margin_high, samples, student_accuracy, teacher_accuracy, retention}."""
    margin = margins(teacher)
    student_right, teacher_right = _right(student, labels), _right(teacher, labels)
    quartiles = np.array_split(np.argsort(margin, kind="stable"), QUARTILES)
    return [
        {
            "quartile": number,
            "margin_low": float(margin[part[0]]),
            "margin_high": float(margin[part[-1]]),
            **_score(student_right[part], teacher_right[part]),
        }
        for number, part in enumerate(quartiles, 1)
        if len(part)
    ]


def margins(logits: Logits) -> Floats:
    """The largest probability minus the second, (samples,), of logits (samples, classes)."""
    highest = np.partition(softmax(logits), -2, axis=1)[:, -2:]
    gap: Floats = highest[:, 1] - highest[:, 0]
    return gap


def drops(stages: Mapping[str, Logits], labels: Labels) -> list[Row]:
    """What each step lost against the one before, for models in the order they were made (float,
    pruned, int8): rows {stage, before, accuracy_before, accuracy, drop, samples, became_wrong,
    became_right, classes}.

    became_wrong, became_right: places of samples; classes: rows {class, samples, accuracy, drop,
    became_wrong, became_right} with the class's number and, of those two, counts; classes without
    samples are left out. stages: name to logits (samples, classes).
    """
    right = {name: _right(logits, labels) for name, logits in stages.items()}
    masks = {int(number): labels == number for number in np.unique(labels)}
    return [
        {
            "stage": after,
            "before": before,
            "accuracy_before": float(100.0 * right[before].mean()),
            **_change(right[before], right[after]),
            "became_wrong": np.flatnonzero(right[before] & ~right[after]).tolist(),
            "became_right": np.flatnonzero(~right[before] & right[after]).tolist(),
            "classes": [
                {"class": number, **_change(right[before][mask], right[after][mask])}
                for number, mask in masks.items()
            ],
        }
        for before, after in pairwise(right)
    ]


def _change(before: Mask, after: Mask) -> Row:
    wrong, right = np.count_nonzero(before & ~after), np.count_nonzero(~before & after)
    return {
        "samples": len(before),
        "accuracy": float(100.0 * after.mean()),
        "drop": float(100.0 * (wrong - right) / len(before)),
        "became_wrong": int(wrong),
        "became_right": int(right),
    }


def ood(in_logits: Logits, out_logits: Logits) -> dict[str, float]:
    """How well confidence tells samples of the known classes from others: {auroc, in_confidence,
    out_confidence}. Hendrycks & Gimpel 2017: the maximum softmax probability as a detector.

    in_logits, out_logits: (samples, classes), of as many samples as there are of either.
    """
    inside, outside = confidence(in_logits), confidence(out_logits)
    return {
        "auroc": auroc(inside, outside),
        "in_confidence": float(inside.mean()),
        "out_confidence": float(outside.mean()),
    }


def auroc(positive: Floats, negative: Floats) -> float:
    """The probability that a score of `positive` is above one of `negative`, in 0..1, equal
    scores counting half: Mann & Whitney's U by mean ranks. Both (samples,), not empty."""
    _, place, count = np.unique(
        np.concatenate([positive, negative]), return_inverse=True, return_counts=True
    )
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    above = rank[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2
    return float(above / (len(positive) * len(negative)))


def teacher_errors(
    logits: Logits,
    labels: Labels,
    classes: Sequence[str],
    agreement: Floats | None = None,
) -> dict[str, Any]:
    """What a student would learn wrongly: {samples, wrong, unsure, disagreeing, confusions}.

    wrong, unsure (a margin below 0.1) and disagreeing: {count, share}; confusions: the most
    frequent (at most 10), rows {from, to, count}, from the label to the teacher's answer.

    logits: the teacher's, (samples, classes); agreement: (samples,), the weight of an ensemble's
    members that vote for its answer; without, `disagreeing` is None.
    """
    answers = logits.argmax(axis=1)
    wrong = answers != labels
    pairs, counts = np.unique(
        np.stack([labels[wrong], answers[wrong]], axis=1), axis=0, return_counts=True
    )
    most = np.argsort(-counts, kind="stable")[:CONFUSIONS]
    return {
        "samples": len(labels),
        "wrong": _part(wrong),
        "unsure": _part(margins(logits) < UNSURE_MARGIN),
        "disagreeing": None if agreement is None else _part(agreement < UNANIMOUS),
        "confusions": [
            {"from": classes[label], "to": classes[answer], "count": int(count)}
            for (label, answer), count in zip(pairs[most], counts[most], strict=True)
        ],
    }


def confidence_histogram(logits: Logits, bins: int = 10) -> list[Row]:
    """Rows {low, high, count, share}: how many of the samples have their confidence in [low,
    high), the last bin with 1. logits: (samples, classes)."""
    counts, edges = np.histogram(confidence(logits), bins=bins, range=(0.0, 1.0))
    return [
        {"low": float(low), "high": float(high), "count": int(n), "share": float(n / len(logits))}
        for (low, high), n in zip(pairwise(edges), counts, strict=True)
    ]


def coverage(train: Vectors, test: Vectors, quantile: float = 0.99) -> dict[str, Any]:
    """Does the training set have something like each test sample? {samples, uncovered,
    uncovered_share, expected_share, distance}.

    A test sample is uncovered when its nearest training sample is farther than `distance`, the
    given quantile of the training samples' distances to their own nearest neighbours. By chance,
    that is expected of a share of 1 - quantile.

    train, test: embeddings (samples, dimensions), at least two of train; distances are Euclidean.
    """
    # Around the mean, differences of squares lose less to rounding.
    middle = train.mean(axis=0)
    train, test = train - middle, test - middle
    own = np.concatenate(list(_nearest(train, train, itself=True)))
    held = np.concatenate(list(_nearest(test, train)))
    limit = float(np.quantile(own, quantile))
    uncovered = _part(held > limit)
    return {
        "samples": len(test),
        "uncovered": uncovered["count"],
        "uncovered_share": uncovered["share"],
        "expected_share": 1.0 - quantile,
        "distance": limit,
    }


def _nearest(samples: Vectors, train: Vectors, itself: bool = False) -> Iterator[Vectors]:
    """Block by block, the distance of each of `samples` to the nearest of `train`; where they are
    the training samples, not to itself."""
    squares = np.einsum("ij,ij->i", train, train)
    rows = max(1, BLOCK // len(train))
    for start in range(0, len(samples), rows):
        block = samples[start : start + rows]
        apart = block @ train.T
        apart *= -2.0
        apart += squares
        if itself:
            at = np.arange(len(block))
            apart[at, start + at] = np.inf
        lengths = np.einsum("ij,ij->i", block, block)
        yield np.sqrt(np.maximum(apart.min(axis=1) + lengths, 0.0))
