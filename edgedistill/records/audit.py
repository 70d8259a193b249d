"""What the stage `audit` leaves: where a student lost, what it copied, how sure it is.

Accuracies are in percent, drops in percentage points; shares, retention, margins and confidences
are in 0..1. Where a number has nothing to stand on (no samples, no teacher) it is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, JsonValue

from edgedistill.records.codec import Record

_LENIENT: ConfigDict = {"extra": "ignore", "ser_json_inf_nan": "constants"}
"""Bundles that others wrote are read too."""


@dataclass(frozen=True)
class Score:
    """Of a student and, where there is one, its teacher on some samples."""

    samples: int
    student_accuracy: float | None
    teacher_accuracy: float | None
    retention: float | None
    """The student's accuracy over the teacher's."""


@dataclass(frozen=True)
class ClassScore(Score):
    """Of the test samples of one class."""

    class_: Annotated[str, Field(alias="class")]
    train_count: int | None
    """Training samples of the class."""


@dataclass(frozen=True)
class SliceScore(Score):
    """Of the test samples of one slice."""

    slice: str


@dataclass(frozen=True)
class HardnessScore(Score):
    """A quarter of the samples, by the teacher's margin; 1 is the hardest."""

    quartile: int
    margin_low: float
    margin_high: float


@dataclass(frozen=True)
class ConfidenceBin:
    """Of a reliability diagram: samples whose confidence is above `low` and up to `high`."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """How far a model's confidence can be believed."""

    accuracy: float
    confidence: float
    """Mean."""
    overconfidence: float
    """Mean confidence minus accuracy, in percentage points."""
    ece: float
    """Expected calibration error, in percent."""
    nll: float
    """Mean negative log likelihood, in nats."""
    reliability: tuple[ConfidenceBin, ...]


@dataclass(frozen=True)
class Part:
    """Of the samples."""

    count: int
    share: float


@dataclass(frozen=True)
class Agreement:
    """Each sample in one of five parts."""

    both_right: Part
    teacher_better: Part
    """Only the teacher is right."""
    student_better: Part
    copied_errors: Part
    """Both wrong, with the same answer."""
    different_errors: Part
    copied_error_share: float | None
    """Of the teacher's errors, those that were copied."""


@dataclass(frozen=True)
class StudentAudit:
    """Everything that labels tell of a student, and of its teacher where there is one."""

    overall: Score
    classes: tuple[ClassScore, ...]
    worst: ClassScore | None
    """The class of the least retention, without a teacher of the least accuracy."""
    rarest: tuple[ClassScore, ...]
    """Classes of the fewest training samples, the rarest first."""
    slices: tuple[SliceScore, ...]
    student: Calibration
    teacher: Calibration | None
    agreement: Agreement | None
    hardness: tuple[HardnessScore, ...] | None
    """By quarter, the hardest first."""


@dataclass(frozen=True)
class Change:
    """What a step lost against the one before, on some samples."""

    samples: int
    accuracy: float
    drop: float
    became_wrong: int
    became_right: int


@dataclass(frozen=True)
class ClassChange(Change):
    """Of the samples of one class."""

    class_: Annotated[int, Field(alias="class")]
    """Its number."""


@dataclass(frozen=True)
class StepChange(Change):
    """Of a step against the one before, in all and by class."""

    stage: str
    before: str
    """The step before."""
    accuracy_before: float
    classes: tuple[ClassChange, ...]
    """Those that have samples."""


@dataclass(frozen=True)
class Corruption:
    """Accuracy by model on the same images made worse; strength 0 is as they are."""

    kind: str
    strength: int
    accuracy: dict[str, float]


@dataclass(frozen=True)
class Detection:
    """How well confidence tells samples of the known classes from others."""

    auroc: float
    in_confidence: float
    out_confidence: float


@dataclass(frozen=True)
class OutOfDistribution:
    """How well confidence tells images of no known class from the test set, by model."""

    images: int | Literal["noise"]
    """How many were given, or that noise stood in."""
    models: dict[str, Detection]


@dataclass(frozen=True)
class Coverage:
    """Test samples that have nothing like them in train."""

    samples: int
    uncovered: int
    uncovered_share: float
    expected_share: float
    """By chance."""
    distance: float
    """From a sample's embedding to its nearest in train, past which it is uncovered."""


@dataclass(frozen=True)
class RoutingPoint:
    """What routing to the teacher below a confidence does."""

    threshold: float
    share_routed: float
    accuracy: float


@dataclass(frozen=True)
class ChosenPoint(RoutingPoint):
    """On validation."""

    wanted: float
    """The accuracy that it was chosen for."""


@dataclass(frozen=True)
class TriedPoint(RoutingPoint):
    """On the test set, beside what either model does alone."""

    teacher: float
    """Accuracy of the teacher alone."""
    student: float


@dataclass(frozen=True)
class Routing:
    """What passing unsure samples on to the teacher gives."""

    threshold: float
    temperature: float
    validation: ChosenPoint
    """Where the threshold was chosen."""
    test: TriedPoint
    """What it does on the test set."""
    share_for_teacher_less_drop: float
    """The least that is routed on the test set for the accuracy that was wanted."""
    curve: tuple[RoutingPoint, ...]
    """On the test set, from nothing routed to everything."""


@dataclass(frozen=True)
class Audited:
    """Students on some images."""

    file: str
    """The one that ships."""
    images: int
    order: tuple[str, ...]
    """Models, in the order in which they were made."""
    students: dict[str, StudentAudit]
    """By model; `shipped` is the file."""

    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT


@dataclass(frozen=True)
class OtherImages(Audited):
    """Of a bundle, on images that its compile did not see."""

    left_out: int
    """Images that could not be decoded."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AuditRecord(Audited, Record):
    """Of a compile, on its test images."""

    FILE: ClassVar[str] = "audit.json"
    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT

    drops: tuple[StepChange, ...]
    corruptions: tuple[Corruption, ...]
    """Empty where none were asked for."""
    out_of_distribution: OutOfDistribution
    coverage: Coverage | None
    """None where the student has no embedding."""
    temperature: float
    """Fitted to the file on validation samples."""
    routing: Routing | None
    """None where the teacher's answers on validation or test are unknown."""
    reference: dict[str, JsonValue]
    """What `tasks.drift.describe` says of the file on validation samples."""
