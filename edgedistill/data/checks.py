"""What a source's labels must be, and what becomes of a data set in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edgedistill.artifact import JsonObject
from edgedistill.data.sources.base import UNLABELLED
from edgedistill.data.split import Labels
from edgedistill.data.writing import UNUSED, Part, Written
from edgedistill.errors import UserError
from edgedistill.records import DataRecord
from edgedistill.tasks import TASKS

EXAMPLES = 20


def metrics_of(record: DataRecord, skipped: int, warnings: list[str]) -> JsonObject:
    """What the stage returns. Warnings are not in the record: they name where the data lies, which
    no later stage depends on."""
    return {
        "counts": record.counts,
        "unlabelled": record.unlabelled,
        "class_counts": record.class_counts,
        "duplicates": {"exact": record.duplicates.exact, "near": record.duplicates.near},
        "skipped": skipped,
        "warnings": warnings,
    }


def check_classes(
    labels: dict[str, Labels],
    classes: Sequence[str],
    task: str,
    word: str,
    limit: int | None = None,
) -> None:
    """Raises UserError: a split has no sample of a class. word: what samples are called, such as
    `images`."""
    form = TASKS[task].labels
    for name, values in labels.items():
        counts = form.counts(values, classes)
        if counts is None or counts.all() or not form.must_occur(name):
            continue
        missing = classes[int(np.argmin(counts))]
        if limit is not None and limit < 2 * len(classes):
            raise UserError(
                f"data.limit: {limit} {word} are too few for {len(classes)} classes",
                f"each needs one to train and one to validate on: at least {2 * len(classes)}",
            )
        more = f" ({np.sum(counts == 0)} classes have none)" if np.sum(counts == 0) > 1 else ""
        raise UserError(
            f"data: class `{missing}` has no {word} in {name}{more}",
            f"each class needs at least one {word[:-1]} in each of train, validation and test; "
            "validation is taken from train",
        )


def left_out(
    written: Written, parts: Sequence[Part], classes: Sequence[str], word: str
) -> tuple[str, ...]:
    """What `word` that cannot be decoded took from each class, in a sentence; none, if none."""
    if not written.skipped:
        return ()
    lost = Counter(label for label, _ in written.skipped if label != UNLABELLED)
    told = ""
    if lost:
        used = [part.samples.labels[part.codes != UNUSED] for part in parts]
        totals = Counter(np.concatenate(used).tolist())
        worst = sorted(lost, key=lambda each: -lost[each] / totals[each])
        shares = [f"class {classes[at]}: {lost[at]} of {totals[at]}" for at in worst[:EXAMPLES]]
        told = f" ({', '.join(shares)})"
    return (f"{word} left out: {len(written.skipped)}{told}; first {written.skipped[0][1]}",)


def class_counts(
    labels: dict[str, Labels], classes: Sequence[str], task: str
) -> dict[str, dict[str, int]]:
    """By split and class; empty where labels are nothing to count."""
    counted = {name: TASKS[task].labels.counts(each, classes) for name, each in labels.items()}
    return {
        name: dict(zip(classes, counts.tolist(), strict=True))
        for name, counts in counted.items()
        if counts is not None
    }
