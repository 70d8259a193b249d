"""Where a recipe's utterances lie: recordings, transcripts and speakers, place by place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedistill.data.sources import manifest, sounds
from edgedistill.data.sources.base import Samples, existing, is_folder, shown
from edgedistill.data.sources.files import SOUNDS
from edgedistill.data.sources.folder import files_below
from edgedistill.errors import UserError
from edgedistill.recipe.speech import Speech

TRAIN_FILES, TEST_FILES = ("train", "training"), ("test", "eval", "evaluation")
_SPLIT = re.compile(r"(train|training|test|eval|evaluation|valid|validation|dev)(?![a-z])")
"""What the names of a data set's files, or of their folders, begin with where they are parted
already."""


@dataclass(frozen=True)
class Place:
    """A place that a recipe names, and what lies there."""

    path: Path
    samples: Samples

    def __len__(self) -> int:
        return len(self.samples.labels)

    @property
    def named(self) -> str:
        """Its own name, which says nothing of where it lies."""
        return shown(self.path.name)


@dataclass(frozen=True)
class Found:
    """All of a recipe's places."""

    train: tuple[Place, ...]
    test: tuple[Place, ...]
    """Empty where the recipe names none."""
    notes: tuple[str, ...]
    """What a user should know of them."""


def open_places(speech: Speech) -> Found:
    """The recordings of each place; none is decoded yet.

    Raises UserError: nothing there, no recordings, files that a manifest names are missing, or no
    place has the transcripts or speakers that are asked for.
    """
    notes: list[str] = []
    train, test = (
        tuple(opened(path, speech, names, notes) for path in paths)
        for paths, names in ((speech.train, TRAIN_FILES), (speech.test or (), TEST_FILES))
    )
    places = (*train, *test)
    for field, what in (("text", "transcripts"), ("speaker", "speakers")):
        notes += _without(places, speech, field, what)
    return Found(train, test, tuple(notes))


def opened(path: Path, speech: Speech, names: Sequence[str], notes: list[str]) -> Place:
    """The recordings of a place, of a data set's files those named so; what is odd about it goes
    into `notes`. Raises UserError as `open_places` does."""
    existing(path, "recordings")
    if path.suffix == ".jsonl":
        samples = manifest.unlabelled(path, speech.speaker, speech.audio, speech.text)
        _check_there(path, samples)
    else:
        files, all_files = _of_split(path, names)
        if len(files) < len(all_files):
            notes.append(
                f"{path.name}: {len(files)} of {len(all_files)} parquet files are read, those "
                f"named {names[0]}; first {files[0].name}"
            )
        found, more = sounds.recordings(files or (path,), speech.audio, speech.speaker, speech.text)
        assert found is not None, "one place was given"
        samples = found
        notes += [note.replace(str(path), path.name) for note in more]
    _check_as_many(path, samples)
    return Place(path, samples)


def _of_split(path: Path, names: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The parquet files in a folder that are of the split, and all of them; none where the place is
    something else. Raises UserError: all are of other splits."""
    if not is_folder(path):
        return [], []
    files = sorted(path.glob("*.parquet")) or _below(path)
    splits = [_split_of(file.relative_to(path)) for file in files]
    if not any(splits):
        return files, files
    wanted = [file for file, split in zip(files, splits, strict=True) if split in names]
    if not wanted:
        raise UserError(
            f"{path}: none of its {len(files)} parquet files is named {' or '.join(names)}; first "
            f"{files[0].name}",
            "name the files that are meant one by one",
        )
    return wanted, files


def _split_of(file: Path) -> str | None:
    found = (_SPLIT.match(part.lower()) for part in reversed(file.parts))
    return next((each[1] for each in found if each), None)


def _below(path: Path) -> list[Path]:
    """Parquet files at any depth of a folder without recordings, as the files of a data set lie."""
    files = sorted(file for file in files_below(path) if not file.name.startswith("."))
    if any(SOUNDS.is_read(file) for file in files):
        return []
    return [file for file in files if file.suffix == ".parquet"]


def _check_there(path: Path, samples: Samples) -> None:
    """Raises UserError: a file that a manifest names is missing."""
    files = samples.read(np.arange(len(samples.labels)))
    missing = [file for file in files if not os.path.exists(file)]
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of {len(samples.labels)} recordings are not there; first "
            f"{shown(missing[0])[:300]}",
            "names of files are read from the manifest's own folder; mend them, or leave out the "
            "lines of what is lost",
        )


def _check_as_many(path: Path, samples: Samples) -> None:
    for given in (samples.texts, samples.speakers):
        if given is not None and len(given) != len(samples.labels):
            raise UserError(
                f"{path}: {len(given)} entries for {len(samples.labels)} recordings",
                "the file is damaged; write or copy it again",
            )


def _without(places: Sequence[Place], speech: Speech, field: str, what: str) -> Iterator[str]:
    """A sentence for each place that lacks a column or key. Raises UserError: all of them do, and
    it is asked for by name."""
    name = getattr(speech, field)
    if name is None:
        return
    given = {place.path: _entries(place, field) for place in places}
    if speech.asked_for(field) and not any(map(_any, given.values())):
        first = places[0].path
        raise UserError(
            f"data: no place has {what}: `{field}: {name}` is in none of {len(places)}; first "
            f"{first}",
            f"check the name of the column or key; without {what} leave `{field}` out",
        )
    if field == "speaker" and not any(map(_any, given.values())):
        return  # which is told of all
    for place in places:
        entries = given[place.path]
        if not _any(entries):
            why = f"no column or key `{name}`" if entries is None else f"all of `{name}` are null"
            yield f"{place.named}: has no {what}: {why}"


def _entries(place: Place, field: str) -> tuple[str | None, ...] | None:
    return place.samples.texts if field == "text" else place.samples.speakers


def _any(entries: tuple[str | None, ...] | None) -> bool:
    return any(each is not None for each in entries or ())
