"""Samples from their source to the splits on disk, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image.decode import Form
from edgedistill.data.sources import Samples
from edgedistill.data.sources.base import UNLABELLED
from edgedistill.data.split import Labels
from edgedistill.data.splits import (
    SPLITS,
    array_writer,
    image_writer,
)
from edgedistill.data.workers import decode_all, worker_count
from edgedistill.errors import UserError
from edgedistill.progress import Reporter
from edgedistill.recipe import Data
from edgedistill.signature import TensorSpec

UNUSED = -1
AT_ONCE = 256
"""Samples of arrays that are held in memory."""

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]
Size = tuple[int, int]
Codes = NDArray[np.int8]
"""For each sample of a source the number of its split in `SPLITS`, or `UNUSED`."""


@dataclass(frozen=True)
class Part:
    """Samples of the source, the split of each, and the place of the first in the user's data."""

    samples: Samples
    codes: Codes
    first: int = 0


@dataclass
class Written:
    """What lies on disk, and where it came from."""

    labels: dict[str, Labels] = field(default_factory=dict)
    names: dict[str, list[tuple[Samples, NDArray[np.int64]]]] = field(
        default_factory=lambda: {name: [] for name in SPLITS}
    )
    """For each split, chunk by chunk, which samples of the source became its own."""
    skipped: list[tuple[int, str]] = field(default_factory=list)
    """Of each image that could not be decoded its class, or `UNLABELLED`, and what is wrong."""

    def name_of(self, split: str, image: int) -> str:
        """What a person finds a written image by; image: its place in the split."""
        for samples, chosen in self.names[split]:
            if image < len(chosen):
                return samples.name(int(chosen[image]))
            image -= len(chosen)
        raise AssertionError("an image that was never written")

    def names_of(self, split: str) -> Iterator[str]:
        """The same of all images of a split, in order."""
        return (samples.name(int(each)) for samples, chosen in self.names[split] for each in chosen)


def write_images(
    parts: list[Part], data: Data, sizes: Sequence[Size], out: Path, reporter: Reporter
) -> Written:
    """Decode each image into the data's form and the same in the other `sizes`.

    Raises UserError: more of them cannot be decoded than the recipe allows.
    """
    written = Written()
    forms = _forms(data, sizes)
    writers = {name: image_writer(out / name, *(form.shape for form in forms)) for name in SPLITS}
    total = sum(int(np.sum(part.codes != UNUSED)) for part in parts)
    done, started = 0, time.monotonic()
    for part in parts:
        samples, codes = part.samples, part.codes
        for read, kept, images in _usable(samples, codes, data, forms, total, written.skipped):
            for code, name in enumerate(SPLITS):
                here = codes[kept] == code
                if here.any():
                    labels, places = samples.labels[kept[here]], kept[here] + part.first
                    writers[name].add([each[here] for each in images], labels, places)
                    written.names[name].append((samples, kept[here]))
            done += read
            speed = done / max(time.monotonic() - started, 1e-9)
            reporter.tick("decode", done, total, f"{speed:.0f} images/s")
    written.labels = {name: writer.close() for name, writer in writers.items()}
    return written


def _forms(data: Data, sizes: Sequence[Size]) -> list[Form]:
    """What each image becomes: as the data has it, and the same in the other `sizes`."""
    return [
        Form(size, data.channels, data.resize, data.convert_channels)
        for size in (data.picture_size, *sizes)
    ]


def _usable(
    samples: Samples,
    codes: Codes,
    data: Data,
    forms: Sequence[Form],
    total: int,
    skipped: list[tuple[int, str]],
) -> Iterator[tuple[int, NDArray[np.int64], tuple[Images, ...]]]:
    """How many were read, the numbers of those that could be decoded, and their pixels in each
    form."""
    wanted = np.flatnonzero(codes != UNUSED)
    workers = worker_count(data.workers, samples.encoded_bytes)
    start = 0
    for chunk in decode_all(samples.read(wanted), forms, workers):
        read = len(chunk.images[0]) + len(chunk.failures)
        ids = wanted[start : start + read]
        start += read
        for failure in chunk.failures:
            sample = int(ids[failure.at])
            problem = f"{samples.name(sample)}: {failure.reason}"
            if not failure.skippable or not data.skip_unreadable:
                raise UserError(problem, failure.hint)
            label = samples.labels[sample]
            skipped.append((UNLABELLED if np.ndim(label) else int(label), problem))
        if len(skipped) > data.skip_unreadable * total:
            raise UserError(
                f"{len(skipped)} images or more of {total} cannot be decoded, past "
                f"`data.skip_unreadable: {data.skip_unreadable}`; first {skipped[0][1]}",
                "mend or remove them, or allow a larger share",
            )
        yield read, np.delete(ids, [failure.at for failure in chunk.failures]), chunk.images
    assert start == len(wanted), "a source must give every image it is asked for"


def write_arrays(
    parts: list[Part], shapes: Shapes, out: Path, reporter: Reporter
) -> tuple[Written, tuple[TensorSpec, ...]]:
    """Write samples that are arrays of these shapes, by name; returns also what a model takes, with
    the range of the training samples' values.

    Raises UserError: a sample that is something else, or holds what is no finite number.
    """
    written = Written()
    writers = {name: array_writer(out / name, shapes) for name in SPLITS}
    ranges = _Ranges(shapes)
    total, done = sum(int(np.sum(part.codes != UNUSED)) for part in parts), 0
    for part in parts:
        for ids, arrays in _in_batches(part, shapes):
            for code, name in enumerate(SPLITS):
                here = part.codes[ids] == code
                if here.any():
                    values = [each[here] for each in arrays.values()]
                    writers[name].add(
                        values, part.samples.labels[ids[here]], ids[here] + part.first
                    )
                    written.names[name].append((part.samples, ids[here]))
                    if name == "train":
                        ranges.add(values)
            done += len(ids)
            reporter.tick("read", done, total)
    written.labels = {name: writer.close() for name, writer in writers.items()}
    return written, ranges.specs()


def _in_batches(
    part: Part, shapes: Shapes
) -> Iterator[tuple[NDArray[np.int64], dict[str, Floats]]]:
    """The numbers of the samples that are used, and their arrays (batch, *shape)."""
    wanted = np.flatnonzero(part.codes != UNUSED)
    given = part.samples.read(wanted)
    for start in range(0, len(wanted), AT_ONCE):
        ids = wanted[start : start + AT_ONCE]
        rows = [as_arrays(next(given), shapes, part.samples.name(int(each))) for each in ids]
        yield ids, {name: np.stack([row[name] for row in rows]) for name in shapes}
    assert next(given, None) is None, "a source must give the samples it is asked for, and no more"


def as_arrays(given: Any, shapes: Shapes, where: str) -> dict[str, Floats]:
    """A sample's arrays by name, float32 of those shapes: given so, or in order, or alone where
    there is one.

    Raises UserError: others, of other shapes, or with what is no finite number.
    """
    hint = "give " + ", ".join(f"`{name}` {list(shape)}" for name, shape in shapes.items())
    if isinstance(given, Mapping):
        found = dict(given)
    else:
        each = given if isinstance(given, tuple | list) and len(shapes) > 1 else [given]
        found = dict(zip(shapes, each, strict=False)) if len(each) == len(shapes) else {}
    if found.keys() != shapes.keys():
        kind = ", ".join(map(str, found)) or f"a {type(given).__name__}"
        raise UserError(f"{where}: has {kind[:200]}, not {', '.join(shapes)}", hint)
    return {name: _as_array(found[name], shapes[name], f"{where}: `{name}`", hint)
            for name in shapes}  # fmt: skip


def _as_array(given: Any, shape: tuple[int, ...], where: str, hint: str) -> Floats:
    try:
        values = np.asarray(given)
        kind = values.dtype
        if kind.kind not in "biuf":
            raise ValueError(f"holds {kind}")
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} is no array of numbers ({error})", hint) from None
    if values.shape != shape:
        raise UserError(f"{where} has shape {values.shape}, not {shape}", hint)
    with np.errstate(over="ignore"):  # what is too large is told as infinity
        floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        raise UserError(
            f"{where} holds what is no finite number", "leave the sample out, or mend it"
        )
    return floats


class _Ranges:
    """The least and the largest value of each array."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._low, self._high = [np.inf] * len(shapes), [-np.inf] * len(shapes)

    def add(self, values: Sequence[Floats]) -> None:
        self._low = [min(a, float(b.min())) for a, b in zip(self._low, values, strict=True)]
        self._high = [max(a, float(b.max())) for a, b in zip(self._high, values, strict=True)]

    def specs(self) -> tuple[TensorSpec, ...]:
        bounds = zip(self._shapes.items(), self._low, self._high, strict=True)
        return tuple(
            TensorSpec(name, (None, *shape), range=(low, high))
            for (name, shape), low, high in bounds
        )
