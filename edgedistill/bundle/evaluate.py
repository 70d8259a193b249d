"""The task's metric of a bundle's files, on any labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.measure import check_opens
from edgedistill.errors import UserError
from edgedistill.recipe import Data, load_recipe
from edgedistill.target import Frozen

if TYPE_CHECKING:
    import numpy as np

    from edgedistill.data import Read

Samples = str | Path | Mapping[str, Any] | tuple[Any, Any]
_BATCH = 64


class _Document(Frozen):
    data: Data


def qualities(
    bundle: Bundle, entries: list[dict[str, Any]], samples: Samples | None
) -> list[dict[str, Any]]:
    """Rows {runtime, precision, file, quality, metric, images, left_out, notes} of the files in
    `entries`; see `edgedistill.evaluate`."""
    import numpy as np

    read = read_samples(bundle, samples)
    images, labels = read.images, read.labels
    check_opens(bundle, entries)
    if not len(labels):
        raise UserError("there are no images to evaluate on", "give at least one")
    task = bundle.task
    outputs: list[list[np.ndarray]] = [[] for _ in entries]
    for begin in range(0, len(labels), _BATCH):
        part = slice(begin, begin + _BATCH)
        pixels = bundle.pixels(images[part])
        for place, entry in enumerate(entries):
            outputs[place].append(bundle.model(entry["runtime"], entry["precision"])(pixels))
    return [
        {
            **{key: entry[key] for key in ("runtime", "precision", "file")},
            "quality": task.quality(np.concatenate(found), labels),
            "metric": task.metric,
            **task.further(np.concatenate(found), labels),
            "images": len(labels),
            "left_out": read.left_out,
            "notes": list(read.notes),
        }
        for entry, found in zip(entries, outputs, strict=True)
    ]


def read_samples(bundle: Bundle, samples: Samples | None) -> Read:
    """Images of any kind that a bundle takes, and labels as places in its list."""
    from edgedistill.data import Read, read_images

    if isinstance(samples, tuple):
        return Read(*_pair(bundle, *samples), 0, ())

    if samples is None:
        raise UserError(
            f"{bundle.path}: which images? It was compiled with {_recorded(bundle)}; that is what "
            "the bundle says, and nothing is opened for it",
            "give --data: a folder of class folders, a .parquet or .npz file, or your recipe",
        )
    source: Path | Data
    if isinstance(samples, Mapping):
        source = _document(samples)
    else:
        source = Path(samples)
        if source.suffix in (".yaml", ".yml"):
            source = load_recipe(source).data
    return read_images(source, bundle.labels, bundle.form, bundle.task.name)


def _recorded(bundle: Bundle) -> str:
    """The data that the bundle says it was compiled with, as text."""
    data = bundle.manifest["recipe"].get("data")
    told = {**data} if isinstance(data, dict) else {}
    kept = {key: told[key] for key in ("source", "name", "function", "root", "test") if key in told}
    return ", ".join(f"{key} `{value!s:.200}`" for key, value in kept.items()) or "unknown data"


def _pair(bundle: Bundle, images: Any, labels: Any) -> tuple[Any, np.ndarray]:
    import numpy as np

    return images, bundle.task.labels.check_given(np.asarray(labels), len(images), bundle.labels)


def _document(data: Mapping[str, Any]) -> Data:
    from pydantic import ValidationError

    from edgedistill.document import problems

    try:
        return _Document.model_validate({"data": dict(data)}).data
    except ValidationError as error:
        raise UserError(
            problems(error, _Document, "data"), "`edgedistill schema` prints every key"
        ) from None
