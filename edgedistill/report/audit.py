"""The audit as tables a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from edgedistill.records import AuditRecord, from_json
from edgedistill.records.audit import (
    Audited,
    Corruption,
    HardnessScore,
    OtherImages,
    OutOfDistribution,
    Routing,
    SliceScore,
    StepChange,
    StudentAudit,
)
from edgedistill.records.speech_audit import SpeechAuditRecord
from edgedistill.report.speech_audit import Table, speech_tables

T = TypeVar("T")
THE_AUDIT = "the audit"
"""What messages call it that is read here."""


def tables(found: dict[str, Any]) -> list[Table]:
    """What `edgedistill.audit` returns, in the order in which one asks. Raises UserError: it is no
    audit."""
    if "made_up" in found:
        return speech_tables(from_json(SpeechAuditRecord, found, THE_AUDIT))
    if "drops" in found:
        record = from_json(AuditRecord, found, THE_AUDIT)
        return [*_of_students(record), *_of_compile(record)]
    return _of_students(from_json(OtherImages, found, THE_AUDIT))


def _of_students(record: Audited) -> list[Table]:
    students = ordered(record.students, record.order)
    shipped = students["shipped"]
    told = [_overall(students), _classes(shipped)]
    if shipped.slices:
        told.append(_slices(shipped.slices, students))
    if shipped.agreement:
        told.append(_agreement(students))
    if shipped.hardness:
        told.append(_hardness(shipped.hardness))
    return told


def _of_compile(record: AuditRecord) -> list[Table]:
    told = [_drops(record.drops)] if record.drops else []
    if record.corruptions:
        told.append(_corruptions(record.corruptions, record.order))
    told.append(_detected(record.out_of_distribution, record.order))
    if record.routing:
        told.append(_routing(record.routing))
    return told


def ordered(figures: Mapping[str, T], order: Sequence[str]) -> dict[str, T]:
    """Figures of models in the order in which the models were made."""
    return {name: figures[name] for name in order if name in figures}


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


def _overall(students: dict[str, StudentAudit]) -> Table:
    header = ["student", "accuracy %", "kept %", "worst class", "kept there %",
              "calibration error %", "overconfident by %"]  # fmt: skip
    rows = [
        [name, told.overall.student_accuracy, _percent(told.overall.retention),
         told.worst.class_ if told.worst else None,
         _percent(told.worst.retention if told.worst else None),
         told.student.ece, told.student.overconfidence]
        for name, told in students.items()
    ]  # fmt: skip
    return "Students, and the file that ships", header, rows


def _classes(told: StudentAudit) -> Table:
    header = ["class", "samples", "trained on", "accuracy %", "teacher %", "kept %"]
    rows = [
        [row.class_, row.samples, row.train_count, row.student_accuracy, row.teacher_accuracy,
         _percent(row.retention)]
        for row in told.classes
    ]  # fmt: skip
    return "Classes, of the file that ships", header, rows


def _slices(shipped: Sequence[SliceScore], students: dict[str, StudentAudit]) -> Table:
    """Each slice, and what each student keeps there: which step lost it."""
    kept = [f"{name}, kept %" for name in students]
    header = ["slice", "samples", "accuracy %", "teacher %", *kept]
    rows = [
        [row.slice, row.samples, row.student_accuracy, row.teacher_accuracy,
         *(_percent(told.slices[number].retention) for told in students.values())]
        for number, row in enumerate(shipped)
    ]  # fmt: skip
    return "Slices, of the file that ships", header, rows


_PARTS = {
    "both_right": "both right %",
    "teacher_better": "only teacher right %",
    "student_better": "only student right %",
    "copied_errors": "same error %",
    "different_errors": "different errors %",
}


def _agreement(students: dict[str, StudentAudit]) -> Table:
    header = ["student", *_PARTS.values(), "teacher's errors copied %"]
    rows = [
        [name, *(_percent(getattr(told.agreement, part).share) for part in _PARTS),
         _percent(told.agreement.copied_error_share)]
        for name, told in students.items()
        if told.agreement
    ]  # fmt: skip
    return "Against the teacher", header, rows


def _hardness(quarters: Sequence[HardnessScore]) -> Table:
    header = ["quarter", "teacher's margin", "accuracy %", "teacher %", "kept %"]
    rows = [
        [row.quartile, f"{row.margin_low:.2f} to {row.margin_high:.2f}", row.student_accuracy,
         row.teacher_accuracy, _percent(row.retention)]
        for row in quarters
    ]  # fmt: skip
    return "From the hardest quarter of the samples to the easiest", header, rows


def _drops(drops: Sequence[StepChange]) -> Table:
    header = ["from", "to", "lost, points", "became wrong", "became right"]
    rows = [[row.before, row.stage, row.drop, row.became_wrong, row.became_right] for row in drops]
    return "What each step lost", header, rows


def _corruptions(found: Sequence[Corruption], order: Sequence[str]) -> Table:
    models = list(ordered(found[0].accuracy, order))
    header = ["corruption", "strength", *(f"{name} %" for name in models)]
    rows = [[row.kind, row.strength, *(row.accuracy[name] for name in models)] for row in found]
    return "On samples made worse", header, rows


def _detected(found: OutOfDistribution, order: Sequence[str]) -> Table:
    header = ["model", "told apart (AUROC)", "confidence on test", "out of distribution"]
    rows = [
        [name, each.auroc, each.in_confidence, each.out_confidence]
        for name, each in ordered(found.models, order).items()
    ]
    return "Samples of no class", header, rows


def _routing(found: Routing) -> Table:
    header = ["routed %", "accuracy %"]
    rows = [[_percent(row.share_routed), row.accuracy] for row in found.curve[::10]]
    title = (
        f"Routing to the teacher below a confidence of {found.threshold:.3f}, chosen on "
        f"validation: on test {100 * found.test.share_routed:.1f} % routed, "
        f"{found.test.accuracy:.2f} % right"
    )
    return title, header, rows
