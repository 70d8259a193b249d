"""From a source to three splits on disk, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import JsonObject, write_json
from edgedistill.data import twins
from edgedistill.data.image import duplicates
from edgedistill.data.sources import Samples, Source, open_source
from edgedistill.data.sources.base import UNLABELLED, check_labels
from edgedistill.data.splits import (
    SPLITS,
    TEST_SEED,
    Labels,
    held_out,
    limited,
    open_images,
    open_split,
)
from edgedistill.data.writing import (
    UNUSED,
    Codes,
    Part,
    Size,
    Written,
    write_arrays,
    write_images,
)
from edgedistill.errors import UserError
from edgedistill.progress import Reporter
from edgedistill.recipe import Data
from edgedistill.records import DataRecord, Pictures
from edgedistill.signature import TensorSpec
from edgedistill.tasks import TASKS
from edgedistill.tasks.labels import LabelForm, known

EXAMPLES = 20


def prepare(
    data: Data,
    task: str,
    seed: int,
    out: Path,
    reporter: Reporter,
    embedding: int | None = None,
    sizes: Sequence[Size] = (),
) -> JsonObject:
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
    specs: tuple[TensorSpec, ...] = ()
    if data.arrays is None:
        written = write_images(parts, data, sizes, out, reporter)
    else:
        reporter.say(
            "data: samples are no pictures: they are not augmented, what is nearly the same is not "
            "looked for, and there is no audit"
        )
        written, specs = write_arrays(parts, data.arrays, out, reporter)
    _check_classes(written.labels, source.classes, task)
    left_out = _left_out(written, parts, source.classes)
    for text in left_out:
        reporter.say(f"data: {text}")
    found = twins.describe(_twins(out, specs, reporter), written, source.classes)
    twins.say(found, written, "samples" if specs else "images", reporter)
    labels = tuple(source.classes)
    dimensions = tuple(f"dimension {number}" for number in range(embedding or 0))
    record = DataRecord(
        task=task,
        classes=dimensions or labels,
        labels=labels,
        captions=tuple(data.caption.replace("{}", name) for name in labels),
        pictures=None if specs else Pictures(data.picture_size, data.resize, data.channels),
        arrays=specs,
        own_test=source.test is not None,
        counts={name: len(labels) for name, labels in written.labels.items()},
        unlabelled=int(np.sum(~known(written.labels["train"]))),
        class_counts=_class_counts(written.labels, labels, task),
        duplicates=found,
        skipped=tuple(text for _, text in written.skipped[:EXAMPLES]),
    )
    write_json(out / "test" / "names.json", list(written.names_of("test")))
    record.write(out)
    return _metrics(record, len(written.skipped), [*source.notes, *left_out])


def _twins(out: Path, specs: tuple[TensorSpec, ...], reporter: Reporter) -> list[duplicates.Twin]:
    if specs:
        return twins.same_arrays({name: open_split(out, name) for name in SPLITS})
    return duplicates.find({name: open_images(out, name) for name in SPLITS}, reporter)


def _metrics(record: DataRecord, skipped: int, warnings: list[str]) -> JsonObject:
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
    """The test samples, and their numbers there (samples,): of the source's own test split, or
    those kept aside from its train."""
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


def _left_out(written: Written, parts: list[Part], classes: Sequence[str]) -> tuple[str, ...]:
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
