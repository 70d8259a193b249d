"""From a source to three splits on disk, checked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import write_json
from edgedistill.data.image import duplicates
from edgedistill.data.image.decode import Form
from edgedistill.data.sources import Samples, Source, open_source
from edgedistill.data.sources.base import UNLABELLED, check_labels
from edgedistill.data.splits import (
    SPLITS,
    TEST_SEED,
    Labels,
    held_out,
    image_writer,
    limited,
    open_split,
)
from edgedistill.data.workers import decode_all, worker_count
from edgedistill.errors import UserError
from edgedistill.progress import Reporter
from edgedistill.recipe import Data
from edgedistill.records import DataRecord, Duplicates, Twin
from edgedistill.tasks import TASKS
from edgedistill.tasks.labels import LabelForm, known

EXAMPLES = 20
UNUSED = -1

Images = NDArray[np.uint8]
Size = tuple[int, int]
Codes = NDArray[np.int8]
"""For each sample of a source the number of its split in `SPLITS`, or `UNUSED`."""


def prepare(
    data: Data,
    task: str,
    seed: int,
    out: Path,
    reporter: Reporter,
    embedding: int | None = None,
    sizes: Sequence[Size] = (),
) -> dict[str, Any]:
    """Decode, split and check `data` into folder `out`; returns metrics.

    sizes: further ones, (height, width), that a model sees the images in; each takes that many
    bytes more for each image and channel.

    Writes `train|validation|test/{images,labels,samples}.npy`, `test/names.json` and `data.json`.
    Which training images are used and which of them validate is drawn from `seed`; the test set
    never depends on it.

    Raises UserError: anything that is wrong with the data.
    """
    source = open_source(data, task)
    for note in source.notes:
        reporter.say(f"data: {note}")
    parts = assign(source, data, task, seed)
    written = _write(parts, data, sizes, out, reporter)
    _check_classes(written.labels, source.classes, task)
    left_out = _left_out(written, parts, source.classes)
    for text in left_out:
        reporter.say(f"data: {text}")
    twins = duplicates.find({name: open_split(out, name) for name in SPLITS}, reporter)
    found = _describe(twins, written, source.classes)
    _say_duplicates(found, written, reporter)
    labels = tuple(source.classes)
    dimensions = tuple(f"dimension {number}" for number in range(embedding or 0))
    record = DataRecord(
        task=task,
        classes=dimensions or labels,
        labels=labels,
        captions=tuple(data.caption.replace("{}", name) for name in labels),
        image_size=data.image_size,
        channels=data.channels,
        own_test=source.test is not None,
        resize=data.resize,
        counts={name: len(labels) for name, labels in written.labels.items()},
        unlabelled=int(np.sum(~known(written.labels["train"]))),
        class_counts=_class_counts(written.labels, labels, task),
        duplicates=found,
        skipped=tuple(text for _, text in written.skipped[:EXAMPLES]),
    )
    write_json(out / "test" / "names.json", list(written.names_of("test")))
    record.write(out)
    return _metrics(record, len(written.skipped), [*source.notes, *left_out])


def _metrics(record: DataRecord, skipped: int, warnings: list[str]) -> dict[str, Any]:
    """Warnings are not in the record: they name where the data lies, which no later stage depends
    on."""
    return {
        "counts": record.counts,
        "unlabelled": record.unlabelled,
        "class_counts": record.class_counts,
        "duplicates": {"exact": record.duplicates.exact, "near": record.duplicates.near},
        "skipped": skipped,
        "warnings": warnings,
    }


@dataclass(frozen=True)
class Part:
    """Samples of the source, the split of each, and the place of the first in the user's data."""

    samples: Samples
    codes: Codes
    first: int = 0


def assign(source: Source, data: Data, task: str, seed: int) -> list[Part]:
    """Each part of the source with the split of each of its samples.

    Raises UserError: one class only, labels outside the classes, a class missing from a split.
    """
    if len(source.classes) < TASKS[task].fewest_names:
        raise UserError(
            f"there is one class only: `{source.classes[0]}`" if source.classes
            else "there are no classes",
            "classification needs at least two",
        )  # fmt: skip
    given = [source.train] if source.test is None else [source.train, source.test]
    for samples in given:
        check_labels(samples, source.classes, task)
    train = _train_codes(source, data, seed, TASKS[task].labels)
    parts = [Part(source.train, train)]
    if source.test is not None:
        parts.append(Part(source.test, np.full(len(source.test.labels), 2, np.int8)))
    labels = {
        name: np.concatenate([part.samples.labels[part.codes == code] for part in parts])
        for code, name in enumerate(SPLITS)
    }
    _check_classes(labels, source.classes, task, data.limit)
    if source.unlabelled is not None:
        more = len(source.unlabelled.labels)
        parts.append(Part(source.unlabelled, np.zeros(more, np.int8), len(source.train.labels)))
    return parts


def test_part(source: Source, form: LabelForm) -> tuple[Samples, NDArray[np.int64]]:
    """The test samples: of the source's own test split, or those kept aside from its train."""
    if source.test is not None:
        return source.test, np.arange(len(source.test.labels))
    aside = held_out(source.train.labels, source.test_share, TEST_SEED, form)
    return source.train, np.flatnonzero(aside)


def _train_codes(source: Source, data: Data, seed: int, form: LabelForm) -> Codes:
    labels = source.train.labels
    codes = np.zeros(len(labels), np.int8)
    if source.test is None:
        codes[test_part(source, form)[1]] = 2
    pool = np.flatnonzero(codes == 0)
    if data.limit is not None:
        used = limited(labels[pool], data.limit, seed, form)
        codes[pool[~used]] = UNUSED
        pool = pool[used]
    codes[pool[held_out(labels[pool], data.validation, seed, form)]] = 1
    return codes


def _check_classes(
    labels: dict[str, Labels], classes: Sequence[str], task: str, limit: int | None = None
) -> None:
    form = TASKS[task].labels
    for name, values in labels.items():
        counts = form.counts(values, classes)
        if counts is None or counts.all() or not form.must_occur(name):
            continue
        missing = classes[int(np.argmin(counts))]
        if limit is not None and limit < 2 * len(classes):
            raise UserError(
                f"data.limit: {limit} images are too few for {len(classes)} classes",
                f"each needs one to train and one to validate on: at least {2 * len(classes)}",
            )
        more = f" ({np.sum(counts == 0)} classes have none)" if np.sum(counts == 0) > 1 else ""
        raise UserError(
            f"data: class `{missing}` has no images in {name}{more}",
            "each class needs at least one image in each of train, validation and test; "
            "validation is taken from train",
        )


@dataclass
class _Written:
    labels: dict[str, Labels] = field(default_factory=dict)
    names: dict[str, list[tuple[Samples, NDArray[np.int64]]]] = field(
        default_factory=lambda: {name: [] for name in SPLITS}
    )
    """For each split, chunk by chunk, which samples of the source became its images."""
    skipped: list[tuple[int, str]] = field(default_factory=list)
    """Of each image that could not be decoded its class, or `UNLABELLED`, and what is wrong."""

    def name_of(self, split: str, image: int) -> str:
        for samples, chosen in self.names[split]:
            if image < len(chosen):
                return samples.name(int(chosen[image]))
            image -= len(chosen)
        raise AssertionError("an image that was never written")

    def names_of(self, split: str) -> Iterator[str]:
        return (samples.name(int(each)) for samples, chosen in self.names[split] for each in chosen)


def _write(
    parts: list[Part], data: Data, sizes: Sequence[Size], out: Path, reporter: Reporter
) -> _Written:
    written = _Written()
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
        for size in (data.image_size, *sizes)
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


def _left_out(written: _Written, parts: list[Part], classes: Sequence[str]) -> tuple[str, ...]:
    """What images that cannot be decoded took from each class, in a sentence; none, if none."""
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
    return (f"images left out: {len(written.skipped)}{told}; first {written.skipped[0][1]}",)


def _class_counts(
    labels: dict[str, Labels], classes: Sequence[str], task: str
) -> dict[str, dict[str, int]]:
    counted = {name: TASKS[task].labels.counts(each, classes) for name, each in labels.items()}
    return {
        name: dict(zip(classes, counts.tolist(), strict=True))
        for name, counts in counted.items()
        if counts is not None
    }


def _describe(
    twins: list[duplicates.Twin], written: _Written, classes: Sequence[str]
) -> Duplicates:
    """Counts of images of the second split that are in the first too, and examples."""
    pairs = [(a, b) for at, a in enumerate(SPLITS) for b in SPLITS[at + 1 :]]
    counts = {
        kind: {
            f"{a}/{b}": sum((t.first, t.second, t.exact) == (a, b, exact) for t in twins)
            for a, b in pairs
        }
        for kind, exact in (("exact", True), ("near", False))
    }
    examples = (
        Twin(
            exact=twin.exact,
            classes=(
                _named(classes, written.labels[twin.first][twin.known]),
                _named(classes, written.labels[twin.second][twin.held]),
            ),
            **{
                twin.first: written.name_of(twin.first, twin.known),
                twin.second: written.name_of(twin.second, twin.held),
            },
        )
        for twin in _spread(twins)
    )
    return Duplicates(**counts, examples=tuple(examples))


def _named(classes: Sequence[str], label: Any) -> str | tuple[float, ...] | None:
    if np.ndim(label):
        return None if np.isnan(label).any() else tuple(label.tolist())
    return classes[int(label)] if label >= 0 else None


def _spread(twins: list[duplicates.Twin]) -> list[duplicates.Twin]:
    """A few of each kind and pair of splits."""
    groups: dict[tuple[str, str, bool], list[duplicates.Twin]] = {}
    for twin in twins:
        groups.setdefault((twin.first, twin.second, twin.exact), []).append(twin)
    return [twin for group in groups.values() for twin in group[: EXAMPLES // 4]]


def _say_duplicates(found: Duplicates, written: _Written, reporter: Reporter) -> None:
    for pair, exact in found.exact.items():
        near = found.near[pair]
        if exact + near:
            first, second = pair.split("/")
            total = len(written.labels[second])
            names = ((getattr(each, first), getattr(each, second)) for each in found.examples)
            one = next(
                second_name for first_name, second_name in names if first_name and second_name
            )
            reporter.say(
                f"data: {exact + near} of {total} {second} images are in {first} too "
                f"({exact} exactly, {near} nearly), such as {one}; the report "
                "gives the path of a list"
            )
