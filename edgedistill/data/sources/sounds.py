"""Recordings: from parquet and Hugging Face's data sets, and those without any keyword."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources import folder, libraries, manifest, parquet
from edgedistill.data.sources.base import (
    UNLABELLED,
    Samples,
    Source,
    check_labels,
    checked_names,
    class_names,
    existing,
    is_folder,
    shown,
    to_classes,
)
from edgedistill.data.sources.files import SOUNDS
from edgedistill.data.sources.manifest import speakers_of
from edgedistill.data.sources.texts import numbered, read_texts, transcripts
from edgedistill.errors import UserError
from edgedistill.recipe import Data, HuggingFaceData, ParquetData

UNKNOWN, SILENCE = "unknown", "silence"
"""Classes that are made of recordings without keywords, and without speech."""
SPEAKER = "speaker"


def open_parquet(data: ParquetData) -> Source:
    """The one or two files, or folders of files, with sound. Raises UserError: a column is missing
    or of another kind, or a label of `test` is none of `train`'s."""
    train = parquet.Table(data.train)
    names = data.classes or _described(train, data.label)
    samples, classes = parquet_samples(train, data.audio, data.label, data.speaker, names)
    test = None
    if data.test is not None:
        table = parquet.Table(data.test)
        test, _ = parquet_samples(table, data.audio, data.label, data.speaker, classes)
    return Source(classes, samples, test, data.test_share)


def _described(table: parquet.Table, label: str) -> tuple[str, ...] | None:
    described = parquet.columns_described(table.opened[0], table.files[0])
    return parquet.names_described(described, label, table.files[0])


def parquet_samples(
    table: parquet.Table,
    audio: str,
    label: str,
    speaker: str | None,
    classes: tuple[str, ...] | None,
) -> tuple[Samples, tuple[str, ...]]:
    """A table's recordings and the names of their classes: `classes`, or else what the labels are:
    names, or numbers."""
    for file, each in zip(table.files, table.opened, strict=True):
        parquet.check_payload(each, audio, "recording", file)
        parquet.check_column(each, label, file)
    where = f"{table.path}: column `{label}`"
    if all(is_text(each, label) for each in table.opened):
        texts = read_texts(table.values(label), where)
        classes = classes or checked_names(sorted(set(texts)), where)
        labels = numbered(texts, classes, where)
    else:
        labels = parquet.table_labels(table, audio, label, "recording")
        classes = class_names(classes, labels, where)
    speakers = None if speaker is None else speakers_of(table.values(speaker))
    found = Samples(
        labels, lambda ids: table.payloads(audio, ids), table.name_of, table.bytes, speakers
    )
    return found, classes


def is_text(file: Any, column: str) -> bool:
    """Whether a parquet file's column holds text."""
    import pyarrow

    kind = file.schema_arrow.field(column).type
    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def open_huggingface(data: HuggingFaceData) -> Source:
    """One or two splits of a data set with sound. Raises UserError: it is not there, or has no such
    split or column."""
    splits = libraries.huggingface_splits(data, (data.audio, data.label, data.speaker), "Audio")
    train = splits[data.train]
    names = getattr(train.features[data.label], "names", None)
    where = f"{data.name}: column `{data.label}`"
    if names is None and _holds_text(train, data.label):
        names = sorted(set(read_texts(train[data.label][:], where)))
    first = _of_split(train, data, data.train, names, where)
    test = None
    if data.test is not None:
        test = _of_split(splits[data.test], data, data.test, names, where)
    return Source(class_names(names, first.labels, where), first, test, data.test_share)


def _holds_text(dataset: Any, column: str) -> bool:
    return getattr(dataset.features[column], "dtype", None) in ("string", "large_string")


def _of_split(
    dataset: Any, data: HuggingFaceData, split: str, names: Sequence[str] | None, where: str
) -> Samples:
    values = dataset[data.label][:]
    if names is not None and _holds_text(dataset, data.label):
        values = numbered(read_texts(values, where), names, where)
    speakers = None if data.speaker is None else speakers_of(dataset[data.speaker][:])
    found = libraries.huggingface_samples(dataset, data.name, data.audio, values, split, where)
    return dataclasses.replace(found, speakers=speakers)


def with_made_classes(source: Source, data: Data, task: str) -> Source:
    """The source with what the recipe says beside it: recordings without keywords or speech, and
    the classes `unknown` and `silence` that these become, last in this order.

    Raises UserError: nothing there, or labels that are none of the source's classes.
    """
    sound = data.sound
    assert sound is not None, "samples that are no sound"
    speaker = getattr(data, "speaker", None) or SPEAKER
    audio = getattr(data, "audio", None)
    negatives, notes = recordings(sound.negatives, audio, speaker)
    noise, more = recordings(sound.noise, audio, speaker)
    made = {UNKNOWN: negatives is not None, SILENCE: noise is not None}
    keywords = [name for name in source.classes if name not in made]
    last = [name for name, wanted in made.items() if wanted or name in source.classes]
    classes = (*keywords, *last)

    def moved(samples: Samples | None) -> Samples | None:
        if samples is None:
            return None
        check_labels(samples, source.classes, task)
        return to_classes(samples, source.classes, classes, data.source)

    train = moved(source.train)
    assert train is not None
    return dataclasses.replace(
        source,
        classes=classes,
        train=train,
        test=moved(source.test),
        negatives=_labelled(negatives, classes, UNKNOWN),
        noise=_labelled(noise, classes, SILENCE),
        notes=(*source.notes, *notes, *more),
    )


def _labelled(samples: Samples | None, classes: Sequence[str], name: str) -> Samples | None:
    if samples is None:
        return None
    labels = np.full(len(samples.labels), list(classes).index(name), np.int64)
    return dataclasses.replace(samples, labels=labels)


def recordings(
    paths: Sequence[Path],
    audio: str | None = None,
    speaker: str | None = SPEAKER,
    text: str | None = None,
) -> tuple[Samples | None, tuple[str, ...]]:
    """All recordings in these places, unlabelled, and notes on files that were passed over; None
    for no places. audio, speaker, text: columns and keys, where there are such.

    Raises UserError: no recordings.
    """
    parts: list[Samples] = []
    notes: list[str] = []
    for path in paths:
        found, more = _recordings(path, audio, speaker, text)
        parts.append(found)
        notes += more
    return (joined(parts) if parts else None), tuple(notes)


def _recordings(
    path: Path, audio: str | None, speaker: str | None, text: str | None
) -> tuple[Samples, tuple[str, ...]]:
    existing(path, "recordings")
    if path.suffix == ".jsonl":
        return manifest.unlabelled(path, speaker, text=text), ()
    if path.suffix == ".parquet" or (is_folder(path) and any(path.glob("*.parquet"))):
        return _rows(parquet.Table(path), audio, speaker, text), ()
    if is_folder(path):
        return folder.unlabelled(path, SOUNDS)
    if SOUNDS.is_read(path):
        size = path.stat().st_size
        only = np.array([UNLABELLED], np.int64)
        return Samples(only, lambda ids: iter([str(path)] * len(ids)), _named(path), size), ()
    raise UserError(
        f"{path}: no recordings that are read",
        "give a folder, a .parquet file, a .jsonl manifest or a sound file",
    )


def _named(path: Path) -> Any:
    return lambda sample: shown(path.name)


def _rows(
    table: parquet.Table, audio: str | None, speaker: str | None, text: str | None
) -> Samples:
    first, file = table.opened[0], table.files[0]
    described = parquet.columns_described(first, file)
    if audio is None or audio not in table.columns:
        audio = parquet.usual(first, described, "Audio", ("audio", "sound"), file)
    column = audio
    for path, each in zip(table.files, table.opened, strict=True):
        parquet.check_payload(each, column, "recording", path)
    if not len(table):
        raise UserError(f"{table.path}: holds no rows", "give recordings")
    speakers = speakers_of(table.values(speaker)) if speaker in table.columns else None
    texts = None
    if text in table.columns:
        texts = transcripts(table.values(text), f"{table.path}: column `{text}`")
    labels = np.full(len(table), UNLABELLED, np.int64)
    return Samples(
        labels, lambda ids: table.payloads(column, ids), table.name_of, table.bytes, speakers, texts
    )


def joined(parts: Sequence[Samples]) -> Samples:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(part.labels) for part in parts)])

    def read(ids: NDArray[np.int64]) -> Iterator[Any]:
        for part, start, end in zip(parts, starts, starts[1:], strict=False):
            yield from part.read(ids[(ids >= start) & (ids < end)] - start)

    def name_of(sample: int) -> str:
        at = int(np.searchsorted(starts, sample, side="right")) - 1
        return parts[at].name(int(sample - starts[at]))

    speakers, texts = (
        [each for part in parts for each in getattr(part, what) or (None,) * len(part.labels)]
        for what in ("speakers", "texts")
    )
    return Samples(
        np.concatenate([part.labels for part in parts]),
        read,
        name_of,
        sum(part.encoded_bytes for part in parts),
        tuple(speakers) if any(speakers) else None,
        tuple(texts) if any(part.texts is not None for part in parts) else None,
    )
