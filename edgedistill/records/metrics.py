"""What is read of the metrics that stages return, by name and type."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Self

from pydantic import ConfigDict

from edgedistill.artifact import Artifact
from edgedistill.records.codec import from_json


@dataclass(frozen=True)
class Metrics:
    """The figures of a stage; those that it does not return keep their defaults."""

    @classmethod
    def read(cls, artifact: Artifact) -> Self:
        """Raises UserError: a figure has another type."""
        names = {each.name for each in fields(cls)}
        known = {name: value for name, value in artifact.metrics.items() if name in names}
        return from_json(cls, known, f"{artifact.path}: metrics")


@dataclass(frozen=True)
class StageMetrics(Metrics):
    """What any stage may return, and those of a model."""

    __pydantic_config__: ClassVar[ConfigDict] = {"strict": True}

    validation_quality: float | None = None
    """The task's metric, in percent."""
    macs: float | None = None
    """Millions of multiply-accumulates of one inference."""
    params: float | None = None
    """Thousands."""
    products: tuple[tuple[int, int, int, int, int, int], ...] | None = None
    """What the MACs are made of: (how many, groups, outputs, inputs, kernel, positions)."""
    samples_seen: float = 0.0
    """Images trained on, each as often as it was seen."""
    undone: bool = False
    """Whether the step cost more than is allowed, and its model is the one before it."""
    undone_because: str = ""
    drop: float | None = None
    """Points of validation quality that the step cost."""
    seconds: float | None = None
    images_per_second: float | None = None
    notes: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataMetrics(Metrics):
    """How many samples there are, and how many of them are odd."""

    counts: dict[str, int]
    """Samples of each split."""
    unlabelled: int = 0
    class_counts: dict[str, dict[str, int]] | None = None
    duplicates: dict[str, dict[str, int]] | None = None
    """`exact` and `near`: images of the second split that are in the first too."""
    skipped: int = 0
    """That could not be decoded."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditMetrics(Metrics):
    """What a contract may promise of the file that ships; None where it was not measured."""

    worst_class: float | None = None
    """What is kept of the teacher's accuracy in the class where least is, 0..1."""
    worst_class_name: str | None = None
    calibration_error: float | None = None
    """Expected calibration error, in percent."""
    copied_errors: float | None = None
    """Share of the teacher's errors that are the student's too, 0..1."""
    robustness: float | None = None
    """Accuracy on corrupted images over that on clean ones."""
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
