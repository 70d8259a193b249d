"""What apps counted of their answers, as a set of predictions to tell drift by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError

from edgedistill.bundle.parts import Part
from edgedistill.document import problems
from edgedistill.errors import UserError
from edgedistill.files import read_json_file

if TYPE_CHECKING:
    from edgedistill.bundle.bundle import Bundle
    from edgedistill.tasks.drift import Statistics

_HINT = "give files that the package's `counters` wrote"
Count = Annotated[int, Field(ge=0, le=1 << 53)]


class Counters(Part):
    """A file of counts; no picture and no sound is in it."""

    format: Literal[1]
    bundle: str
    """Digest of the bundle that the package was made of."""
    samples: Count
    classes: tuple[Count, ...]
    """How often each label was the answer."""
    edges: tuple[float, ...]
    """Those of the bundle's reference."""
    confidences: tuple[Count, ...]
    """How many answers are in each bin, one more than `edges`."""
    routed: Count
    """Of the answers, how many the teacher should be asked about."""


def counted(bundle: Bundle, edges: Sequence[float], paths: Iterable[Path]) -> Statistics:
    """The sum of files of counters, as `tasks.drift.describe` has predictions; what counts do not
    tell is None.

    Raises UserError: a file is none, or was counted by another model; nothing was counted.
    """
    found = [_read(path, bundle, edges) for path in paths]
    samples = sum(each.samples for each in found)
    if not samples:
        raise UserError("the counters have counted nothing yet", "collect more of them")
    classes, confidences = (
        np.sum([getattr(each, name) for each in found], axis=0) / samples
        for name in ("classes", "confidences")
    )
    return {
        "count": samples,
        "class_shares": classes.tolist(),
        "edges": list(edges),
        "confidence_shares": confidences.tolist(),
        "mean_confidence": None,
        "entropy": None,
        "features": None,
    }


def _read(path: Path, bundle: Bundle, edges: Sequence[float]) -> Counters:
    document = read_json_file(path, "counters", _HINT)
    try:
        found = Counters.model_validate(document, strict=False)
    except ValidationError as error:
        raise UserError(problems(error, Counters, str(path)), _HINT) from None
    if found.bundle != bundle.digest:
        raise UserError(
            f"{path}: was counted by a model of another bundle ({found.bundle[:12]}...; this one "
            f"is {bundle.digest[:12]}...)",
            "give the bundle that the app's package was made of",
        )
    if len(found.classes) != len(bundle.labels):
        raise UserError(
            f"{path}: counts {len(found.classes)} labels, and the bundle has {len(bundle.labels)}",
            _HINT,
        )
    if list(found.edges) != list(edges) or len(found.confidences) != len(edges) + 1:
        raise UserError(f"{path}: its `edges` are not those of the bundle's reference", _HINT)
    if {sum(found.classes), sum(found.confidences)} != {found.samples}:
        raise UserError(
            f"{path}: counts {sum(found.classes)} answers, {sum(found.confidences)} confidences "
            f"and says {found.samples} samples",
            _HINT,
        )
    return found
