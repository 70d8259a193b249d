"""What a contract may promise of the file that ships, out of its audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgedistill.artifact import JsonObject
from edgedistill.records import AuditRecord

if TYPE_CHECKING:
    pass


def promised(record: AuditRecord) -> JsonObject:
    """What a contract may promise."""
    shipped = record.students["shipped"]
    rows = [row.accuracy["shipped"] for row in record.corruptions]
    assert shipped.worst is not None, "a test set without a sample"
    agreement = shipped.agreement
    return {
        "worst_class": shipped.worst.retention,
        "worst_class_name": shipped.worst.class_,
        "calibration_error": shipped.student.ece,
        "copied_errors": None if agreement is None else agreement.copied_error_share,
        "robustness": float(np.mean(rows[1:]) / rows[0]) if rows and rows[0] else None,
    }
