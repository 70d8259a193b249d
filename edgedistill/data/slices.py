"""Named parts of the test set, from a table that the user writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact, file_digest
from edgedistill.data.sound.split import SPEAKERS, WINDOWS
from edgedistill.errors import UserError, nearest
from edgedistill.files import check_regular, read_text
from edgedistill.records import read_record

SAMPLE = "sample"
MOST = 100
"""More slices than this are taken for a mistake: a column of numbers, say."""

MOST_SPEAKERS = 20
MOST_BYTES = 1 << 28

Mask = NDArray[np.bool_]


def read_slices(path: Path, names: Sequence[str]) -> dict[str, Mask]:
    """Each value of each column of a CSV file as `column = value`, with the samples it holds for,
    (samples,). Column `sample` says which sample a line is about, by one of `names`; an empty
    cell, like a sample without a line, is in no slice.

    Raises UserError: the file is missing or not such a table, a sample is not of the test set or
    comes twice, or there are more than 100 slices.
    """
    places = {name: place for place, name in enumerate(names)}
    seen: set[str] = set()
    found: dict[str, Mask] = {}
    for number, row in _rows(path):
        name = row.pop(SAMPLE)
        if name not in places:
            raise UserError(
                f"{path}, line {number}: there is no test sample `{name}`",
                nearest(name, list(names)),
            )
        if name in seen:
            raise UserError(f"{path}, line {number}: sample `{name}` is there already")
        seen.add(name)
        for column, value in row.items():
            if value:
                slice_name = f"{column} = {value}"
                if slice_name not in found:
                    found[slice_name] = np.zeros(len(names), np.bool_)
                found[slice_name][places[name]] = True
        if len(found) > MOST:
            raise UserError(
                f"{path}: has more than {MOST} slices by line {number}",
                "leave out columns whose values are nearly all different",
            )
    return dict(sorted(found.items()))


def slices_digest(path: Path) -> str:
    """SHA-256 of the file. Raises UserError: there is none."""
    check_regular(path, "file", "check `stages.audit.slices`")
    return file_digest(path)


def sample_names(data: Artifact) -> list[str]:
    """What messages call the test samples, in their order."""
    return read_record(list[str], data.file("test/names.json"))


def speaker_slices(data: Artifact) -> dict[str, Mask]:
    """Of recordings whose speakers the data names, the test clips of each, at most of the 20 with
    the most, by `speaker = NAME`; else none."""
    file = data.file("test") / SPEAKERS
    if not file.exists():
        return {}
    of_recordings = np.array([each or "" for each in read_record(list[str | None], file)])
    windows = np.load(data.file("test") / WINDOWS, allow_pickle=False)
    speakers = of_recordings[windows[:, 0]]
    names, counts = np.unique(speakers[speakers != ""], return_counts=True)
    most = sorted(names[np.argsort(-counts, kind="stable")[:MOST_SPEAKERS]].tolist())
    return {f"speaker = {name}": speakers == name for name in most}


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    text = read_text(path, "a table of slices", "save it as UTF-8", MOST_BYTES)
    text = text.removeprefix("\ufeff")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns, rows = reader.fieldnames or [], [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}") from None
    if SAMPLE not in columns or len(columns) < 2:
        raise UserError(
            f"{path}: its columns are {', '.join(columns) or 'none'}",
            f"the first line names them: `{SAMPLE}`, and at least one to slice by",
        )
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: two columns are named `{twice}`", "name each differently")
    for number, row in rows:
        if None in row or None in row.values():
            raise UserError(
                f"{path}, line {number}: not as many cells as the {len(columns)} columns"
            )
    return rows
