"""The task's metric of a bundle's files, on any labelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.measure import check_opens, judged
from edgedistill.devices import ONCE, Device, Job, Unfit
from edgedistill.errors import UserError
from edgedistill.recipe import Data, load_recipe
from edgedistill.scratch import scratch_folder
from edgedistill.target import Frozen

if TYPE_CHECKING:
    import numpy as np

    from edgedistill.data import Read

Samples = str | Path | Mapping[str, Any] | tuple[Any, Any]
_BATCH = 64
_CARRIED = 256
"""Images that are brought to a device at once."""


class _Document(Frozen):
    data: Data


def qualities(
    bundle: Bundle,
    entries: list[dict[str, Any]],
    samples: Samples | None,
    device: Device | None = None,
    most: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Rows {runtime, precision, file, quality, metric, images, left_out, notes} of the files in
    `entries`, on this machine or another device, with at most `most` of the images; see
    `edgedistill.evaluate`."""
    read = read_samples(bundle, samples)
    images, labels = read.images, read.labels
    check_opens(bundle, entries)
    if not len(labels):
        raise UserError("there are no images to evaluate on", "give at least one")
    if most is not None and most < len(labels):
        # Evenly, as images often lie class by class.
        kept = [place * len(labels) // most for place in range(most)]
        images, labels = _picked(images, kept), labels[kept]
    ask = partial(_here, bundle) if device is None else partial(_there, bundle, device, say)
    task = bundle.task
    return [
        {
            **{key: entry[key] for key in ("runtime", "precision", "file")},
            "quality": task.quality(found, labels),
            "metric": task.metric,
            **task.further(found, labels),
            "images": len(labels),
            "left_out": read.left_out,
            "notes": list(read.notes),
            **({} if device is None else {"device": device.name}),
        }
        for entry, found in ask(entries, images)
    ]


Answers = Iterator[tuple[dict[str, Any], "np.ndarray"]]
"""Entries of files with what they gave, (images, values)."""


def _here(bundle: Bundle, entries: list[dict[str, Any]], images: Any) -> Answers:
    import numpy as np

    outputs: list[list[np.ndarray]] = [[] for _ in entries]
    for begin in range(0, len(images), _BATCH):
        pixels = bundle.pixels(images[begin : begin + _BATCH])
        for place, entry in enumerate(entries):
            outputs[place].append(bundle.model(entry["runtime"], entry["precision"])(pixels))
    for entry, found in zip(entries, outputs, strict=True):
        yield entry, np.concatenate(found)


def _there(
    bundle: Bundle,
    device: Device,
    say: Callable[[str], None],
    entries: list[dict[str, Any]],
    images: Any,
) -> Answers:
    """Of the files that the device runs; the others are said."""
    import numpy as np

    taken = [entry for entry in entries if entry["runtime"] in device.runtimes]
    if not taken:
        raise UserError(
            f"{device.name} runs none of these files",
            f"it runs those of {' and '.join(device.runtimes)}",
        )
    with scratch_folder() as folder, device:
        parts = []
        for begin in range(0, len(images), _CARRIED):
            parts.append(folder / f"{begin}.npz")
            np.savez(parts[-1], pixels=bundle.pixels(images[begin : begin + _CARRIED]))
        for entry in taken:
            path, found = bundle.path / entry["file"], []
            try:
                for number, part in enumerate(parts):
                    job = Job(path, entry["runtime"], part, ONCE, samples=_CARRIED)
                    found.append(judged(device.run(job)))
                    say(f"{device.name}: {entry['file']}: {number + 1}/{len(parts)}")
            except Unfit as error:
                say(f"{device.name}: left out: {error.message}")
                continue
            yield entry, np.concatenate(found)


def _picked(images: Any, places: list[int]) -> Any:
    return [images[place] for place in places]


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
