"""Student first, teacher where the student is unsure: what that reaches, and what it costs.

Accuracies are in percent; confidences, thresholds and shares in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np

from edgedistill.errors import UserError
from edgedistill.records.audit import ChosenPoint, Routing, RoutingPoint, TriedPoint
from edgedistill.tasks.calibration import Floats, Labels, Logits, Mask, confidence


class Row(TypedDict):
    """What routing below a confidence does."""

    threshold: float
    share_routed: float
    accuracy: float
    cost: NotRequired[float]
    """Of a request, expected."""


ROUTE_ALL = 2.0
"""Above any confidence, whatever precision a device computes it in."""


def curve(
    confidences: Floats,
    student_right: Mask,
    teacher_right: Mask,
    points: int | None = 101,
    costs: tuple[float, float] | None = None,
) -> list[Row]:
    """Rows {threshold, share_routed, accuracy}, and `cost` where `costs` are given, from nothing
    routed to everything.

    A sample goes to the teacher where `confidence < threshold`. Each row is exact for its
    threshold; equal confidences go together, so shares that would part them are not offered.

    confidences (after temperature), student_right, teacher_right: (samples,), at least one.
    points: keep the rows nearest above so many evenly spaced shares; None keeps all there are.
    costs: of one request to the student and to the teacher, in any one unit. The student is
    always asked, so the expected cost is the student's and, for the share routed, the teacher's.
    """
    samples = len(confidences)
    order = np.argsort(confidences, kind="stable")
    values, counts = np.unique(confidences, return_counts=True)
    routed = np.concatenate([[0], np.cumsum(counts)])
    thresholds = np.concatenate([[0.0], values[1:], [ROUTE_ALL]])
    gains = np.cumsum(teacher_right[order].astype(np.int64) - student_right[order])
    right = np.count_nonzero(student_right) + np.concatenate([[0], gains])[routed]
    kept = np.arange(len(routed))
    if points is not None:
        kept = np.unique(np.searchsorted(routed, np.linspace(0, samples, points)))
    rows = []
    for at in kept:
        share = float(routed[at] / samples)
        row: Row = {
            "threshold": float(thresholds[at]),
            "share_routed": share,
            "accuracy": float(100.0 * right[at] / samples),
        }
        if costs is not None:
            row["cost"] = costs[0] + share * costs[1]
        rows.append(row)
    return rows


def choose(rows: list[Row], wanted_accuracy: float | None = None, max_share: float = 1.0) -> Row:
    """Of the rows of `curve` that route at most `max_share`: the one that routes least and
    reaches `wanted_accuracy`; without one, the most accurate, and of equals what routes least.

    Raises UserError: no row reaches the accuracy.
    """
    allowed = [row for row in rows if row["share_routed"] <= max_share]
    # In the order of their shares, so the first of several is the one that routes least.
    best = max(allowed, key=lambda row: float(row["accuracy"]))
    if wanted_accuracy is None:
        return best
    if best["accuracy"] < wanted_accuracy:
        raise UserError(
            f"routing reaches {best['accuracy']:.2f} % at best, with {best['share_routed']:.1%} "
            f"of the requests; {wanted_accuracy:g} % is wanted",
            "ask for less, allow a larger share, or train a better student",
        )
    return next(row for row in allowed if row["accuracy"] >= wanted_accuracy)


def _point(row: Row) -> tuple[float, float, float]:
    """A row without what it costs, as `RoutingPoint` takes it."""
    return row["threshold"], row["share_routed"], row["accuracy"]


@dataclass(frozen=True)
class Pair:
    """Logits (samples, classes) of a student and of its teacher, and labels (samples,)."""

    student: Logits
    teacher: Logits
    labels: Labels

    def curve(self, temperature: float, points: int | None = None) -> list[Row]:
        """As `curve`, of the student's confidence at a temperature."""
        sure = confidence(self.student, temperature)
        student, teacher = (
            each.argmax(axis=1) == self.labels for each in (self.student, self.teacher)
        )
        return curve(sure, student, teacher, points)


def audited(validation: Pair, test: Pair, temperature: float, drop: float) -> Routing:
    """The threshold that is chosen on validation to end at most `drop` points below the teacher,
    and what it does on the test set."""
    everything = validation.curve(temperature)
    wanted = everything[-1]["accuracy"] - drop
    choice = choose(everything, wanted)
    exact = test.curve(temperature)
    reached = next(row for row in exact if row["threshold"] >= choice["threshold"])
    teacher, student = exact[-1]["accuracy"], exact[0]["accuracy"]
    return Routing(
        threshold=choice["threshold"],
        temperature=temperature,
        validation=ChosenPoint(*_point(choice), wanted=wanted),
        test=TriedPoint(*_point(reached), teacher=teacher, student=student),
        share_for_teacher_less_drop=choose(exact, teacher - drop)["share_routed"],
        curve=tuple(RoutingPoint(*_point(row)) for row in test.curve(temperature, 101)),
    )
