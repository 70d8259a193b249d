"""JSON Lines: a line for each sample, with the path of its file and its class's name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.base import UNLABELLED, Samples, Source, shown
from edgedistill.data.sources.texts import numbered, read_texts, transcripts
from edgedistill.errors import UserError, nearest
from edgedistill.files import read_text
from edgedistill.recipe import ManifestData

MOST_BYTES = 1 << 30
HINT = 'write a line such as {"path": "clips/1.wav", "label": "yes"} for each sample'


@dataclass(frozen=True)
class Lines:
    """A manifest's lines, and where each stands."""

    path: Path
    rows: list[dict[str, Any]]
    numbers: list[int]

    def texts(self, key: str) -> list[Any]:
        """What each line has under a key. Raises UserError: a line lacks it."""
        for row, number in zip(self.rows, self.numbers, strict=True):
            if key not in row:
                raise UserError(
                    f"{self.path}, line {number}: has no key `{key}`", nearest(key, list(row))
                )
        return [row[key] for row in self.rows]

    def samples(
        self,
        key: str,
        labels: NDArray[np.int64],
        speaker: str | None,
        texts: tuple[str | None, ...] | None = None,
    ) -> Samples:
        """The files that lie under `key`, found from the manifest's folder."""
        named = read_texts(self.texts(key), f"{self.path}: key `{key}`")
        paths = [self.path.parent / each for each in named]

        def read(ids: NDArray[np.int64]) -> Iterator[str]:
            return (str(paths[each]) for each in ids)

        speakers = None if speaker is None else speakers_of(self.texts(speaker))
        return Samples(labels, read, lambda each: shown(named[each]), 0, speakers, texts)


def open_source(data: ManifestData) -> Source:
    """The one or two files. Raises UserError: a line is no object, lacks a key, or names a class
    that is none of the training lines'."""
    train = read_lines(data.train)
    where = f"{data.train}: key `{data.label}`"
    texts = read_texts(train.texts(data.label), where)
    classes = data.classes or tuple(sorted(set(texts)))
    samples = train.samples(data.path, numbered(texts, classes, where), data.speaker)
    test = None
    if data.test is not None:
        lines, where = read_lines(data.test), f"{data.test}: key `{data.label}`"
        labels = numbered(read_texts(lines.texts(data.label), where), classes, where)
        test = lines.samples(data.path, labels, data.speaker)
    return Source(classes, samples, test, data.test_share)


def unlabelled(
    path: Path, speaker: str | None, key: str | None = None, text: str | None = None
) -> Samples:
    """The files of a manifest's lines, under a key, by default `path` or what is usual elsewhere.
    The key `speaker` counts where every line has it; `text`, of transcripts, where any line does.
    """
    lines = read_lines(path)
    usual = ("path", "audio", "audio_filepath")
    key = key or next((each for each in usual if each in lines.rows[0]), "path")
    named = speaker if speaker and all(speaker in row for row in lines.rows) else None
    texts = None
    if text is not None and any(text in row for row in lines.rows):
        texts = transcripts([row.get(text) for row in lines.rows], f"{path}: key `{text}`")
    return lines.samples(key, np.full(len(lines.rows), UNLABELLED, np.int64), named, texts)


def read_lines(path: Path) -> Lines:
    """Raises UserError: no text, no line in it, or a line that is no JSON object."""
    text = read_text(path, "a manifest", HINT, MOST_BYTES)
    rows, numbers = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            told = f"{path}, line {number}: not valid JSON: {error!s:.200}"
            raise UserError(told, HINT) from None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: is no object", HINT)
        rows.append(row)
        numbers.append(number)
    if not rows:
        raise UserError(f"{path}: holds no lines", HINT)
    return Lines(path, rows, numbers)


def speakers_of(values: Sequence[Any]) -> tuple[str | None, ...]:
    """Names, or numbers as text; None where there is none."""
    return tuple(None if value is None or value == "" else str(value) for value in values)
