"""Recordings that were not part of a recipe: to evaluate a bundle on, or to look for drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.read import Read, left_out
from edgedistill.data.sound.assign import TEST, assign_sounds
from edgedistill.data.sound.copies import without_copies
from edgedistill.data.sound.decode import BadSound, as_floats, decode
from edgedistill.data.sound.decode import Samples as Decoded
from edgedistill.data.sound.notes import Notes
from edgedistill.data.sound.split import open_sounds
from edgedistill.data.sound.window import Starts, clip_window, tiled
from edgedistill.data.sound.writing import write_sounds
from edgedistill.data.sources import Samples, folder, manifest, open_source, parquet, sounds
from edgedistill.data.sources.base import check_labels, existing, is_folder, to_classes
from edgedistill.data.sources.files import SOUNDS
from edgedistill.data.sources.texts import numbered, read_texts
from edgedistill.data.split import Floats
from edgedistill.data.splits import SPLITS
from edgedistill.data.writing import UNUSED
from edgedistill.errors import UserError
from edgedistill.progress import Quiet
from edgedistill.recipe import Data, Sound
from edgedistill.scratch import scratch_folder
from edgedistill.tasks import TASKS

Cutting = Callable[[Decoded], Starts]


def read_sounds(source: Path | Data, classes: Sequence[str], form: Sound, task: str) -> Read:
    """Labelled recordings: a folder of class folders, a `.parquet` file (or a folder of them) or a
    `.jsonl` manifest, of each the window that `form` says; or the test set of a recipe's `data`.
    Labels are matched by class name where the source has names, else taken as numbers in the order
    of `classes`; a class may be missing. What cannot be decoded is left out, and said.

    Raises UserError: nothing there, a class or label that the model does not have, no recording
    that can be decoded.
    """
    if not isinstance(source, Path):
        return _test_set(source, classes, task)
    samples, notes = _labelled(source, classes)
    check_labels(samples, classes, task)
    return _decoded(samples, form, notes, _one_window(form), True)


def read_unlabelled_sounds(place: Path, form: Sound) -> Read:
    """Of each recording in a folder, a parquet file, a manifest or a file the window that `form`
    says; what cannot be decoded is left out, and said. Raises UserError: no recordings there."""
    samples, notes = sounds.recordings((place,))
    assert samples is not None, "one place was given"
    return _decoded(samples, form, notes, _one_window(form), True)


def read_tiled(place: Path, form: Sound) -> Read:
    """The same recordings, all of each: windows side by side."""
    samples, notes = sounds.recordings((place,))
    assert samples is not None, "one place was given"
    return _decoded(samples, form, notes, lambda each: tiled(len(each), form.length), False)


def cut(samples: NDArray[np.int16], start: int, length: int) -> Floats:
    """(length,) from `start` on, float32 in -1..1; silence where the recording has nothing."""
    window = np.zeros(length, np.float32)
    inside = slice(max(start, 0), max(min(start + length, len(samples)), 0))
    if inside.start < inside.stop:
        window[inside.start - start : inside.stop - start] = as_floats(samples[inside])
    return window


def _one_window(form: Sound) -> Cutting:
    return lambda samples: clip_window(samples, form.length, form.cut, form.rate)


def _decoded(
    samples: Samples, form: Sound, notes: tuple[str, ...], cutting: Cutting, clips: bool
) -> Read:
    heard_of = Notes(form.rate)
    windows: list[Floats] = []
    labels: list[int] = []
    problems: list[str] = []
    ids = np.arange(len(samples.labels))
    for at, payload in zip(ids, samples.read(ids), strict=True):
        name, label = samples.name(int(at)), int(samples.labels[at])
        try:
            found, heard = decode(payload, form.rate)
        except BadSound as bad:
            problems.append(f"{name}: {bad.reason}")
            continue
        heard_of.add(name, heard, len(found), form, clips)
        starts = cutting(found).tolist()
        windows += [cut(found, start, form.length) for start in starts]
        labels += [label] * len(starts)
    if problems:
        notes = (*notes, left_out(problems, len(ids), "recordings"))
    held = np.array(windows, np.float32).reshape(-1, form.length)
    return Read(held, np.array(labels, np.int64), len(problems), (*notes, *heard_of.sentences()))


def _test_set(data: Data, classes: Sequence[str], task: str) -> Read:
    """The recordings that a compile tests on, and the same windows of each. Where the test set is
    drawn from all of them, all are read: a compile leaves copies of other splits' out."""
    if data.sound is None:
        raise UserError("data: has pictures, the models take sound", "give `data.sound`")
    source = open_source(data, task)
    given = assign_sounds(source, data, task, 0)
    own_test = source.test is not None
    for part in given.parts if own_test else ():
        part.codes[part.codes != TEST] = UNUSED
    with scratch_folder() as out:
        written = write_sounds(given.parts, data, 0, TASKS[task].labels, out, Quiet())
        copies = () if own_test else without_copies(written, out, own_test, Quiet())[1]
        split = open_sounds(out, SPLITS[TEST])
        if not len(split):
            raise UserError("data: has no test samples", "give `data.test`, or more recordings")
        found = split.inputs(np.arange(len(split)))["samples"]
    samples = Samples(split.labels, lambda ids: iter(()), str)
    check_labels(samples, source.classes, task)
    labels = to_classes(samples, source.classes, classes, data.source).labels
    return Read(found, labels, len(written.skipped), (*source.notes, *written.notes, *copies))


def _labelled(path: Path, classes: Sequence[str]) -> tuple[Samples, tuple[str, ...]]:
    if is_folder(existing(path, "data")) and not any(path.glob("*.parquet")):
        names = folder.class_folders(path, kind=SOUNDS)
        samples, notes = folder.samples(path, names, SOUNDS)
        return to_classes(samples, names, classes, str(path)), notes
    if is_folder(path) or path.suffix == ".parquet":
        return _of_table(parquet.Table(path), classes), ()
    if path.suffix == ".jsonl":
        return _of_manifest(path, classes), ()
    raise UserError(
        f"{path}: no kind of labelled sound that is read",
        "give a folder with one folder for each class, a .parquet file or a .jsonl manifest",
    )


def _of_table(table: parquet.Table, classes: Sequence[str]) -> Samples:
    first, file = table.opened[0], table.files[0]
    described = parquet.columns_described(first, file)
    audio = parquet.usual(first, described, "Audio", ("audio", "sound"), file)
    label = parquet.usual(first, described, "ClassLabel", ("label", "labels"), file)
    names = parquet.names_described(described, label, file)
    samples, found = sounds.parquet_samples(table, audio, label, None, names)
    named = names is not None or sounds.is_text(first, label)
    return to_classes(samples, found, classes, str(table.path)) if named else samples


def _of_manifest(path: Path, classes: Sequence[str]) -> Samples:
    unlabelled, where = manifest.unlabelled(path, None), f"{path}: key `label`"
    texts = read_texts(manifest.read_lines(path).texts("label"), where)
    names = tuple(sorted(set(texts)))
    labelled = Samples(numbered(texts, names, where), unlabelled.read, unlabelled.name)
    return to_classes(labelled, names, classes, str(path))
