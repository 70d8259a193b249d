"""What a bundle's student does beyond its accuracy: as its compile found it, or on other data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.evaluate import Samples, read_samples, sound_of, taken
from edgedistill.bundle.manifest import AUDIT
from edgedistill.bundle.measure import check_opens
from edgedistill.errors import UserError, reading
from edgedistill.files import read_json_file
from edgedistill.records import as_json
from edgedistill.records.audit import OtherImages
from edgedistill.report.audit import THE_AUDIT, tables
from edgedistill.tasks.drift import Drift, Statistics

if TYPE_CHECKING:
    import numpy as np

    from edgedistill.runtimes.features import Both

_BATCH = 256


def audit(bundle: Bundle, samples: Samples | None) -> dict[str, Any]:
    """The compile's audit of the student; on other labelled samples, what can be said of the file
    that ships without the teacher: {file, images, students: {shipped}}."""
    if bundle.transcribes:
        return _of_speech(bundle, samples)
    if not bundle.task.audited:
        raise UserError(
            f"{bundle.path}: holds no classifier (its task is {bundle.task.name}), and only those "
            "are audited",
            "`edgedistill evaluate` says how good it is",
        )
    if samples is None:
        return _recorded(bundle)
    from edgedistill.tasks.audit import audit as figures

    read = read_samples(bundle, samples)
    check_opens(bundle, [bundle.file()])
    shipped = figures(_logits(bundle, read.samples), None, read.labels, bundle.labels)
    found = OtherImages(
        file=bundle.file()["file"],
        images=len(read.labels),
        order=("shipped",),
        students={"shipped": shipped},
        left_out=read.left_out,
        notes=read.notes,
    )
    return dict(as_json(found))


def _of_speech(bundle: Bundle, samples: Samples | None) -> dict[str, Any]:
    if samples is not None:
        raise UserError(
            f"{bundle.path}: a recognizer is audited as it is compiled, beside its teacher",
            "leave --data out; `edgedistill evaluate` tells error rates on other data",
        )
    found: dict[str, Any] | None = bundle.report.get("audited")
    if found is None:
        raise UserError(f"{bundle.path}: was compiled without an audit", "compile it again")
    return found


def _recorded(bundle: Bundle) -> dict[str, Any]:
    """The compile's audit. Raises UserError: it is missing, or none that can be shown."""
    hint = "compile the bundle again, or give --data"
    path = bundle.path / AUDIT
    found: dict[str, Any] = read_json_file(path, "the bundle's audit", hint)
    try:
        with reading(str(path), hint):
            tables(found)
    except UserError as error:
        raise UserError(error.message.replace(THE_AUDIT, str(path), 1), hint) from None
    return found


class DriftReport(Drift):
    """With what was compared."""

    left_out: int
    """Samples that could not be decoded."""
    notes: list[str]
    observed: Statistics


def drift_of_counters(bundle: Bundle, paths: Sequence[Path]) -> DriftReport:
    """The same of what apps counted of their answers: files that a package's `counters` wrote, put
    together."""
    from edgedistill.bundle.counters import counted
    from edgedistill.tasks import drift as drifting

    reference = _reference(bundle)
    with reading(f"{bundle.path}: its reference statistics", "compile the bundle again"):
        observed = counted(bundle, reference["edges"], paths)
        told = drifting.compare(reference, observed)
    return {**told, "left_out": 0, "notes": [], "observed": observed}


def drift(bundle: Bundle, folder: Path) -> DriftReport:
    """Whether the images or recordings below a folder, as the file that ships answers them, still
    look like those that the bundle was compiled with; see `tasks.drift.compare`. Recordings may
    lie in a parquet file or a manifest too."""
    from edgedistill.data import read_unlabelled, read_unlabelled_sounds
    from edgedistill.runtimes import features
    from edgedistill.tasks import drift as drifting

    reference = _reference(bundle)
    sound = sound_of(bundle)
    if sound is None:
        read = read_unlabelled(folder, bundle.form)
    else:
        read = read_unlabelled_sounds(folder, sound)
    check_opens(bundle, [bundle.file()])
    entry = bundle.file()
    seen = None
    if reference.get("features"):
        with reading(f"{bundle.path}: {entry['file']}", "compile the bundle again"):
            seen = features.load(bundle.path / entry["file"], entry["runtime"])
    logits, inner = _answers(bundle, read.samples, seen)
    with reading(f"{bundle.path}: its reference statistics", "compile the bundle again"):
        observed = drifting.describe(logits, inner, reference["edges"])
        told = drifting.compare(reference, observed)
    return {**told, "left_out": read.left_out, "notes": list(read.notes), "observed": observed}


def _reference(bundle: Bundle) -> Any:
    """Raises UserError: there is none."""
    reference = bundle.answering.get("reference")
    if reference is None:
        raise UserError(
            f"{bundle.path}: carries no reference statistics",
            "only classifiers do; one of an older version must be compiled again",
        )
    return reference


def _answers(
    bundle: Bundle, samples: Any, seen: Both | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Logits of the file that ships, and the features that `seen` reads out of it."""
    import numpy as np

    if seen is None:
        return _logits(bundle, samples), None
    parts = [
        seen(taken(bundle, samples[start : start + _BATCH]))
        for start in range(0, len(samples), _BATCH)
    ]
    logits, inner = (np.concatenate(each) for each in zip(*parts, strict=True))
    return logits, inner


def _logits(bundle: Bundle, samples: Any) -> np.ndarray:
    import numpy as np

    model = bundle.model()
    parts = [
        model(taken(bundle, samples[start : start + _BATCH]))
        for start in range(0, len(samples), _BATCH)
    ]
    return np.concatenate(parts)
