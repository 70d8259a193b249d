"""The audit of a student against its teacher: where it lost, what it copied, how sure it is.

Accuracies are in percent, drops in percentage points; shares, retention, margins and confidences
are in 0..1. Where a number has nothing to stand on (no samples, no teacher) it is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgedistill.records.audit import (
    Agreement,
    Change,
    ClassChange,
    ClassScore,
    Coverage,
    Detection,
    HardnessScore,
    Part,
    Score,
    SliceScore,
    StepChange,
    StudentAudit,
)
from edgedistill.records.judge import ConfidenceShare, Confusion, TeacherErrors
from edgedistill.tasks.calibration import Floats, Labels, Logits, Mask, confidence, softmax, summary

Vectors = NDArray[np.float32]

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
) -> StudentAudit:
    """Everything that labels tell of a student, and of its teacher where there is one.

    student, teacher: logits (samples, classes); labels: (samples,); train_counts: the training
    images of each class; slices: name to mask (samples,).
    """
    student_right = _right(student, labels)
    teacher_right = None if teacher is None else _right(teacher, labels)

    def score(chosen: Mask) -> Score:
        theirs = None if teacher_right is None else teacher_right[chosen]
        return _score(student_right[chosen], theirs)

    rows = [
        ClassScore(
            class_=name,
            train_count=None if train_counts is None else int(train_counts[number]),
            **vars(score(labels == number)),
        )
        for number, name in enumerate(classes)
    ]
    return StudentAudit(
        overall=_score(student_right, teacher_right),
        classes=tuple(rows),
        worst=_worst(rows),
        rarest=_rarest(rows),
        slices=tuple(
            SliceScore(slice=name, **vars(score(mask))) for name, mask in (slices or {}).items()
        ),
        student=summary(student, labels),
        teacher=None if teacher is None else summary(teacher, labels),
        agreement=None if teacher is None else agreement(student, teacher, labels),
        hardness=None if teacher is None else hardness(student, teacher, labels),
    )


def _right(logits: Logits, labels: Labels) -> Mask:
    right: Mask = logits.argmax(axis=1) == labels
    return right


def _score(student_right: Mask, teacher_right: Mask | None) -> Score:
    student = _accuracy(student_right)
    teacher = None if teacher_right is None else _accuracy(teacher_right)
    retention = student / teacher if student is not None and teacher else None
    return Score(len(student_right), student, teacher, retention)


def _accuracy(right: Mask) -> float | None:
    return float(100.0 * right.mean()) if len(right) else None


def _worst(rows: list[ClassScore]) -> ClassScore | None:
    compared = any(row.retention is not None for row in rows)

    def kept(row: ClassScore) -> float | None:
        return row.retention if compared else row.student_accuracy

    known = [row for row in rows if kept(row) is not None]
    return min(known, key=lambda row: (kept(row), row.student_accuracy), default=None)


def _rarest(rows: list[ClassScore]) -> tuple[ClassScore, ...]:
    counted = [(row.train_count, at) for at, row in enumerate(rows) if row.train_count is not None]
    return tuple(rows[at] for _, at in sorted(counted)[:RAREST])


def agreement(student: Logits, teacher: Logits, labels: Labels) -> Agreement:
    """student, teacher: logits (samples, classes); labels: (samples,), at least one."""
    ours, theirs = student.argmax(axis=1), teacher.argmax(axis=1)
    student_right, teacher_right = ours == labels, theirs == labels
    both_wrong = ~student_right & ~teacher_right
    copied = _part(both_wrong & (ours == theirs))
    errors = int(np.count_nonzero(~teacher_right))
    return Agreement(
        both_right=_part(student_right & teacher_right),
        teacher_better=_part(~student_right & teacher_right),
        student_better=_part(student_right & ~teacher_right),
        copied_errors=copied,
        different_errors=_part(both_wrong & (ours != theirs)),
        copied_error_share=copied.count / errors if errors else None,
    )


def _part(mask: Mask) -> Part:
    count = int(np.count_nonzero(mask))
    return Part(count, count / len(mask))


def hardness(student: Logits, teacher: Logits, labels: Labels) -> tuple[HardnessScore, ...]:
    """Accuracy of both by quartile of the teacher's margin, the hardest first; quartiles without
    samples are left out. Logits are (samples, classes), labels (samples,)."""
    margin = margins(teacher)
    student_right, teacher_right = _right(student, labels), _right(teacher, labels)
    quartiles = np.array_split(np.argsort(margin, kind="stable"), QUARTILES)
    return tuple(
        HardnessScore(
            quartile=number,
            margin_low=float(margin[part[0]]),
            margin_high=float(margin[part[-1]]),
            **vars(_score(student_right[part], teacher_right[part])),
        )
        for number, part in enumerate(quartiles, 1)
        if len(part)
    )


def margins(logits: Logits) -> Floats:
    """The largest probability minus the second, (samples,), of logits (samples, classes)."""
    highest = np.partition(softmax(logits), -2, axis=1)[:, -2:]
    gap: Floats = highest[:, 1] - highest[:, 0]
    return gap


def drops(stages: Mapping[str, Logits], labels: Labels) -> tuple[StepChange, ...]:
    """What each step lost against the one before, for models in the order they were made (float,
    pruned, int8). stages: name to logits (samples, classes); labels: (samples,)."""
    right = {name: _right(logits, labels) for name, logits in stages.items()}
    masks = {int(number): labels == number for number in np.unique(labels)}
    return tuple(
        StepChange(
            stage=after,
            before=before,
            accuracy_before=float(100.0 * right[before].mean()),
            classes=tuple(
                ClassChange(class_=number, **vars(_change(right[before][mask], right[after][mask])))
                for number, mask in masks.items()
            ),
            **vars(_change(right[before], right[after])),
        )
        for before, after in pairwise(right)
    )


def _change(before: Mask, after: Mask) -> Change:
    wrong, right = np.count_nonzero(before & ~after), np.count_nonzero(~before & after)
    return Change(
        samples=len(before),
        accuracy=float(100.0 * after.mean()),
        drop=float(100.0 * (wrong - right) / len(before)),
        became_wrong=int(wrong),
        became_right=int(right),
    )


def ood(in_logits: Logits, out_logits: Logits, classes: Sequence[int] = ()) -> Detection:
    """How well confidence tells samples of the known classes from others. Hendrycks & Gimpel 2017:
    the maximum softmax probability as a detector.

    in_logits, out_logits: (samples, classes), of as many samples as there are of either; classes:
    those whose probability counts, where not all do, as `unknown` is right about the others.
    """
    counted = list(classes) or slice(None)
    inside, outside = (softmax(each)[:, counted].max(axis=1) for each in (in_logits, out_logits))
    return Detection(auroc(inside, outside), float(inside.mean()), float(outside.mean()))


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
) -> TeacherErrors:
    """What a student would learn wrongly: an answer is unsure with a margin below 0.1; of the
    confusions the 10 most frequent.

    logits: the teacher's, (samples, classes); labels: (samples,), -1 where unknown; agreement:
    (samples,), the weight of an ensemble's members that vote for its answer; without,
    `disagreeing` is None.
    """
    known = labels >= 0
    histogram = confidence_histogram(logits)
    logits, labels = logits[known], labels[known]
    wrong = logits.argmax(axis=1) != labels
    return TeacherErrors(
        samples=len(labels),
        wrong=_part(wrong),
        unsure=_part(margins(logits) < UNSURE_MARGIN),
        disagreeing=None if agreement is None else _part(agreement[known] < UNANIMOUS),
        confusions=_confusions(logits.argmax(axis=1)[wrong], labels[wrong], classes),
        confidence=histogram,
    )


def _confusions(answers: Labels, labels: Labels, classes: Sequence[str]) -> tuple[Confusion, ...]:
    pairs, counts = np.unique(np.stack([labels, answers], axis=1), axis=0, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:CONFUSIONS]
    return tuple(
        Confusion(classes[label], classes[answer], int(count))
        for (label, answer), count in zip(pairs[most], counts[most], strict=True)
    )


def confidence_histogram(logits: Logits, bins: int = 10) -> tuple[ConfidenceShare, ...]:
    """How many of the samples have their confidence in each bin. logits: (samples, classes)."""
    counts, edges = np.histogram(confidence(logits), bins=bins, range=(0.0, 1.0))
    return tuple(
        ConfidenceShare(float(low), float(high), int(n), float(n / len(logits)))
        for (low, high), n in zip(pairwise(edges), counts, strict=True)
    )


def coverage(train: Vectors, test: Vectors, quantile: float = 0.99) -> Coverage:
    """Does the training set have something like each test sample?

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
    return Coverage(len(test), uncovered.count, uncovered.share, 1.0 - quantile, limit)


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
