"""From a source to three splits on disk, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import JsonObject, write_json
from edgedistill.data import twins
from edgedistill.data.checks import (
    EXAMPLES,
    check_classes,
    class_counts,
    left_out,
    metrics_of,
)
from edgedistill.data.image import duplicates
from edgedistill.data.sound.assign import assign_sounds
from edgedistill.data.sound.copies import without_copies
from edgedistill.data.sound.writing import write_sounds
from edgedistill.data.sources import Samples, Source, open_source
from edgedistill.data.sources.base import check_labels
from edgedistill.data.sources.sounds import SILENCE, UNKNOWN
from edgedistill.data.splits import (
    SPLITS,
    TEST_SEED,
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
from edgedistill.records import DataRecord, Pictures, SoundForm
from edgedistill.signature import TensorSpec
from edgedistill.tasks import TASKS
from edgedistill.tasks.labels import LabelForm, known


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
    made = _written(source, data, task, seed, out, reporter, sizes)
    written = made.written
    check_classes(written.labels, source.classes, task, made.word)
    notes = [*made.notes, *left_out(written, made.parts, source.classes, made.word)]
    for text in notes:
        reporter.say(f"data: {text}")
    found = twins.describe(made.twins(), written, source.classes)
    twins.say(found, written, made.word, reporter)
    labels = tuple(source.classes)
    dimensions = tuple(f"dimension {number}" for number in range(embedding or 0))
    record = DataRecord(
        task=task,
        classes=dimensions or labels,
        labels=labels,
        captions=tuple(data.caption.replace("{}", name) for name in labels),
        pictures=made.pictures,
        arrays=made.arrays,
        own_test=source.test is not None,
        counts={name: len(labels) for name, labels in written.labels.items()},
        unlabelled=int(np.sum(~known(written.labels["train"]))),
        class_counts=class_counts(written.labels, labels, task),
        duplicates=found,
        skipped=tuple(text for _, text in written.skipped[:EXAMPLES]),
        sound=made.sound,
    )
    write_json(out / "test" / "names.json", list(written.names_of("test")))
    record.write(out)
    return metrics_of(record, len(written.skipped), [*source.notes, *notes])


@dataclass(frozen=True)
class _Made:
    """The splits on disk, and what is known of their samples."""

    parts: Sequence[Part]
    written: Written
    word: str
    """What many samples are called."""
    twins: Callable[[], list[duplicates.Twin]]
    pictures: Pictures | None = None
    arrays: tuple[TensorSpec, ...] = ()
    sound: SoundForm | None = None
    notes: tuple[str, ...] = ()


def _written(
    source: Source, data: Data, task: str, seed: int, out: Path, reporter: Reporter,
    sizes: Sequence[Size],
) -> _Made:  # fmt: skip
    if data.sound is not None:
        return _sounds(source, data, task, seed, out, reporter)
    parts = assign(source, data, task, seed)
    if data.arrays is not None:
        reporter.say(
            "data: samples are no pictures: they are not augmented, what is nearly the same is not "
            "looked for, and there is no audit"
        )
        arrays, specs = write_arrays(parts, data.arrays, out, reporter)
        return _Made(parts, arrays, "samples", lambda: _same(out), arrays=specs)
    images = write_images(parts, data, sizes, out, reporter)
    pictures = Pictures(data.picture_size, data.resize, data.channels)
    return _Made(
        parts,
        images,
        "images",
        lambda: duplicates.find({name: open_images(out, name) for name in SPLITS}, reporter),
        pictures=pictures,
    )


def _sounds(
    source: Source, data: Data, task: str, seed: int, out: Path, reporter: Reporter
) -> _Made:
    sound = data.sound
    assert sound is not None, "samples that are no sound"
    _check_enough(source, task, "; `sound.negatives` make one")
    given = assign_sounds(source, data, task, seed)
    written = write_sounds(given.parts, data, seed, TASKS[task].labels, out, reporter)
    places = {name: place for place, name in enumerate(source.classes)}
    form = SoundForm(
        sound.rate,
        sound.length,
        sound.cut,
        places.get(UNKNOWN),
        places.get(SILENCE),
        sound.unknown_per_clip,
        given.by_speaker,
    )
    left, copies = without_copies(written, out, source.test is not None, reporter)
    notes = (*given.notes, *written.notes, *copies)
    return _Made(given.parts, written, "clips", lambda: left, sound=form, notes=notes)


def _same(out: Path) -> list[duplicates.Twin]:
    return twins.same_arrays({name: open_split(out, name) for name in SPLITS})


def assign(source: Source, data: Data, task: str, seed: int) -> list[Part]:
    """Each part of the source with the split of each of its samples.

    Raises UserError: one class only, labels outside the classes, a class missing from a split.
    """
    _check_enough(source, task)
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
    check_classes(labels, source.classes, task, "images", data.limit)
    if source.unlabelled is not None:
        more = len(source.unlabelled.labels)
        parts.append(Part(source.unlabelled, np.zeros(more, np.int8), len(source.train.labels)))
    return parts


def _check_enough(source: Source, task: str, more: str = "") -> None:
    if len(source.classes) < TASKS[task].fewest_names:
        raise UserError(
            f"there is one class only: `{source.classes[0]}`" if source.classes
            else "there are no classes",
            "classification needs at least two" + more,
        )  # fmt: skip


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
