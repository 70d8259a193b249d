"""The task's metric of a bundle's files, on any labelled images or recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.measure import check_opens, judged
from edgedistill.devices import ONCE, Device, Job, Unfit
from edgedistill.errors import UserError, reading
from edgedistill.recipe import Data, Sound, load_recipe, of_labels
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
    `entries`, on this machine or another device, with at most `most` of the samples; see
    `edgedistill.evaluate`."""
    read = read_samples(bundle, samples)
    chosen, labels = read.samples, read.labels
    check_opens(bundle, entries)
    if not len(labels):
        raise UserError("there are no samples to evaluate on", "give at least one")
    if most is not None and most < len(labels):
        # Evenly, as images often lie class by class.
        kept = [place * len(labels) // most for place in range(most)]
        chosen, labels = _picked(chosen, kept), labels[kept]
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
        for entry, found in ask(entries, chosen)
    ]


Answers = Iterator[tuple[dict[str, Any], "np.ndarray"]]
"""Entries of files with what they gave, (samples, values)."""


def _here(bundle: Bundle, entries: list[dict[str, Any]], samples: Any) -> Answers:
    import numpy as np

    outputs: list[list[np.ndarray]] = [[] for _ in entries]
    for begin in range(0, len(samples), _BATCH):
        given = taken(bundle, samples[begin : begin + _BATCH])
        for place, entry in enumerate(entries):
            outputs[place].append(bundle.model(entry["runtime"], entry["precision"])(given))
    for entry, found in zip(entries, outputs, strict=True):
        yield entry, np.concatenate(found)


def _there(
    bundle: Bundle,
    device: Device,
    say: Callable[[str], None],
    entries: list[dict[str, Any]],
    samples: Any,
) -> Answers:
    """Of the files that the device runs; the others are said."""
    import numpy as np

    fit = [entry for entry in entries if entry["runtime"] in device.runtimes]
    if not fit:
        raise UserError(
            f"{device.name} runs none of these files",
            f"it runs those of {' and '.join(device.runtimes)}",
        )
    with scratch_folder() as folder, device:
        parts: list[Path] = []
        (name,) = bundle.golden_inputs()
        for begin in range(0, len(samples), _CARRIED):
            parts.append(folder / f"{begin}.npz")
            carried: Any = {name: taken(bundle, samples[begin : begin + _CARRIED])}
            np.savez(parts[-1], **carried)
        for entry in fit:
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


def _picked(samples: Any, places: list[int]) -> Any:
    return [samples[place] for place in places]


def taken(bundle: Bundle, samples: Any) -> np.ndarray:
    """What the models take of some of the samples that were read: pixels of images, or the windows
    of sound as they are."""
    import numpy as np

    if bundle.manifest.get("sound") is None:
        return bundle.pixels(samples)
    return np.asarray(samples, np.float32)


def read_samples(bundle: Bundle, samples: Samples | None) -> Read:
    """Images of any kind that a bundle takes, or recordings, and labels as places in its list."""
    from edgedistill.data import Read, read_images, read_sounds

    if isinstance(samples, tuple):
        return Read(*_pair(bundle, *samples), 0, ())

    if samples is None:
        raise UserError(
            f"{bundle.path}: which samples? It was compiled with {_recorded(bundle)}; that is what "
            "the bundle says, and nothing is opened for it",
            "give --data: a folder of class folders, a .parquet file, of pictures a .npz file, of "
            "sound a .jsonl manifest, or your recipe",
        )
    source: Path | Data
    if isinstance(samples, Mapping):
        source = _document(samples)
    else:
        source = Path(samples)
        if source.suffix in (".yaml", ".yml"):
            source = of_labels(load_recipe(source)).data
    sound = sound_of(bundle)
    if sound is not None:
        return read_sounds(source, bundle.labels, sound, bundle.task.name)
    return read_images(source, bundle.labels, bundle.form, bundle.task.name)


def sound_of(bundle: Bundle) -> Sound | None:
    """What recordings become for a bundle's models, as a recipe says it; None where they take no
    sound."""
    told = bundle.manifest.get("sound")
    if told is None:
        return None
    with reading(f"{bundle.path}: its sound", "compile the bundle again"):
        rate = told["rate"]
        return Sound(rate=rate, seconds=told["samples"] / rate, cut=told["cut"])


def _recorded(bundle: Bundle) -> str:
    """The data that the bundle says it was compiled with, as text."""
    data = bundle.manifest["recipe"].get("data")
    told = {**data} if isinstance(data, dict) else {}
    kept = {key: told[key] for key in ("source", "name", "function", "root", "test") if key in told}
    return ", ".join(f"{key} `{value!s:.200}`" for key, value in kept.items()) or "unknown data"


def _pair(bundle: Bundle, samples: Any, labels: Any) -> tuple[Any, np.ndarray]:
    import numpy as np

    given = np.asarray(labels)
    checked = bundle.task.labels.check_given(given, len(samples), bundle.labels)
    if bundle.manifest.get("sound") is None:
        return samples, checked
    from edgedistill.bundle.hearing import windows

    return windows(bundle, samples), checked


def _document(data: Mapping[str, Any]) -> Data:
    from pydantic import ValidationError

    from edgedistill.document import problems

    try:
        return _Document.model_validate({"data": dict(data)}).data
    except ValidationError as error:
        raise UserError(
            problems(error, _Document, "data"), "`edgedistill schema` prints every key"
        ) from None
