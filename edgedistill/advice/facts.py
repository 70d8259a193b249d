"""All that advice is given by: what the compile found out, and what was reckoned of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from edgedistill.advice.what_if import WhatIf
from edgedistill.program import MAIN
from edgedistill.recipe import Recipe
from edgedistill.records import CountRow, MeasurementRow, ReportRecord, StageRow
from edgedistill.records.advice import Unit
from edgedistill.target import Target
from edgedistill.tasks import TASKS


@dataclass(frozen=True)
class Facts:
    """Of one target's compile."""

    recipe: Recipe
    target: Target
    report: ReportRecord
    """Its contract held, its advice not yet given."""
    what_if: WhatIf | None
    """None where the student cannot be reckoned with."""
    costs: Mapping[tuple[str, str, str], float]
    """What an inference of each file costs on the target, by runtime, precision and name; none
    where no machine of the target's kind measured or counted it."""
    costs_in: Unit
    """Of these."""

    @property
    def shipped(self) -> MeasurementRow | CountRow | None:
        """What the target told of the file that ships; None where it was not there."""
        there = self.report.on_device
        rows: tuple[MeasurementRow | CountRow, ...] = ()
        if there is not None:
            rows = (*there.times, *there.counts)
        elif self.report.measured_on_target:
            rows = self.report.measurements
        key = self.report.summary.file, MAIN
        return next((row for row in rows if (row.file, row.program) == key), None)

    def lost(self) -> list[Loss]:
        """What each stage after the first cost of validation quality, the most first; only of
        accuracy, whose chance is known."""
        if TASKS[self.recipe.task].metric != "accuracy":
            return []
        judged = [row for row in self.report.stages if row.validation_quality is not None]
        samples = self.report.data.counts.get("validation", 0)
        found = [Loss(before, after, samples) for before, after in pairwise(judged)]
        return sorted(found, key=lambda each: -each.points)


@dataclass(frozen=True)
class Loss:
    """Accuracy on validation before a stage and after it."""

    before: StageRow
    after: StageRow
    samples: int

    @property
    def points(self) -> float:
        """What it cost; below nothing, what it won."""
        return (self.before.validation_quality or 0.0) - (self.after.validation_quality or 0.0)

    @property
    def chance(self) -> float:
        """Points that chance may make of it: two standard errors, as if the two had been judged on
        samples of their own, which is more than on the same ones."""
        shares = [(each.validation_quality or 0.0) / 100 for each in (self.before, self.after)]
        variance = sum(share * (1 - share) for share in shares) / max(1, self.samples)
        return 200 * math.sqrt(variance)

    @property
    def told(self) -> str:
        """`98.60 to 97.20 %`."""
        return f"{self.before.validation_quality:.2f} to {self.after.validation_quality:.2f} %"
