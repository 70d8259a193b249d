"""What recordings lie where a user points: enough of them to begin a recipe with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.data.image import kinds as image_kinds
from edgedistill.data.sound import kinds
from edgedistill.data.sound.decode import BadSound, decode
from edgedistill.data.sound.window import AFTER_MS, spoken
from edgedistill.data.sources import Samples, open_source
from edgedistill.data.sources.base import is_folder
from edgedistill.data.sources.folder import files_below
from edgedistill.data.sources.manifest import read_lines
from edgedistill.data.sources.parquet import holds_files, open_parquet
from edgedistill.errors import UserError
from edgedistill.recipe import Data

LOOKED_AT = 64
FILES_LOOKED_AT = 1000
RATES = (8_000, 16_000)
"""Of telephones, and what speech is recognized at; no window needs more."""
NEGATIVES = ("negative", "negatives", "other", "others")
NOISE = ("noise", "noises", "background", "background_noise")
TESTS = ("test", "val", "valid", "validation")
Keys = dict[str, str | Path]
"""Of a recipe's `data`."""


@dataclass(frozen=True)
class FoundSound:
    """What recordings lie where the user pointed."""

    keys: Keys
    """The recipe's `data`, as far as it is certain; paths as Path."""
    negatives: tuple[Path, ...]
    noise: tuple[Path, ...]
    classes: tuple[str, ...]
    clips: int
    rates: tuple[int, ...]
    """Samples a second of some clips, the most usual first."""
    longest: float
    """Seconds of the longest of some clips."""
    said: float
    """Seconds that are enough for what is said in nearly all of these, and a moment after."""

    @property
    def rate(self) -> int:
        """Samples a second that a model is given."""
        return next((rate for rate in RATES if max(self.rates) <= rate), RATES[-1])

    @property
    def seconds(self) -> float:
        """Of the window that a model is given."""
        return min(max(0.5, math.ceil(10 * self.said - 1e-9) / 10), 5.0)


def look_for_sound(path: Path) -> FoundSound | None:
    """What sound lies in a folder or file; None: none, or pictures.

    Raises UserError: sound that cannot be read, or without classes.
    """
    keys = _keys(path)
    if keys is None:
        return None
    negatives, noise = (_beside(path, keys, names) for names in (NEGATIVES, NOISE))
    given = {"negatives": negatives, "noise": noise}
    from pydantic import TypeAdapter

    source = open_source(TypeAdapter(Data).validate_python({**keys, "sound": given}))
    rates, lengths, said = _heard(source.train)
    return FoundSound(
        keys=keys,
        negatives=negatives,
        noise=noise,
        classes=source.classes,
        clips=len(source.train.labels),
        rates=tuple(rate for rate, _ in Counter(rates).most_common()),
        longest=max(lengths),
        said=float(np.percentile(said, 95)) + AFTER_MS / 1000,
    )


def _keys(path: Path) -> Keys | None:
    if not is_folder(path):
        return _of_files([path])
    files = sorted(each for each in path.iterdir() if each.suffix in (".parquet", ".jsonl"))
    clips = [each for each in files if _role(each) is None]
    if clips:
        return _of_files(clips)
    return _of_folder(path) if _mostly_sound(path) else None


def _of_files(files: list[Path]) -> Keys | None:
    """The one that is trained on, or those named train and test."""
    if files[0].suffix not in (".parquet", ".jsonl"):
        return None
    columns = _columns(files[0])
    if columns is None:
        return None
    train = [each for each in files if each.stem.startswith("train")] if len(files) > 1 else files
    test = [each for each in files if each.stem.startswith(TESTS)] if len(files) > 1 else []
    if len(train) != 1 or len(test) > 1:
        raise UserError(
            f"--data {files[0].parent}: {', '.join(each.name for each in files)}: which is trained "
            "on, and which tests?",
            "name one of them, or name them train and test",
        )
    given: Keys = {"train": train[0], **({"test": test[0]} if test else {})}
    source = "manifest" if files[0].suffix == ".jsonl" else "parquet"
    return {"source": source, **given, **columns}


def _columns(file: Path) -> Keys | None:
    """Columns or keys of sound, labels and speakers; None: the file holds pictures."""
    if file.suffix == ".jsonl":
        names = list(read_lines(file).rows[0])
        payload = _named(names, ("path", "audio", "audio_filepath", "file"))
        key = "path"
    else:
        opened = open_parquet(file)
        names = opened.schema_arrow.names
        held = [each.name for each in opened.schema_arrow if holds_files(each.type)]
        payload = next((name for name in held if _holds_sound(opened, name)), None)
        key = "audio"
    if payload is None:
        return None
    label = _named(names, ("label", "labels", "keyword", "word", "text", "class"))
    if label is None:
        raise UserError(
            f"{file}: no label among {', '.join(names)}", "write the recipe's `data` by hand"
        )
    speaker = _named(names, ("speaker", "speaker_id", "client_id"))
    return {key: payload, "label": label, **({"speaker": speaker} if speaker else {})}


def _named(names: list[str], usual: tuple[str, ...]) -> str | None:
    return next((name for name in usual if name in names), None)


def _holds_sound(file: Any, column: str) -> bool:
    batch = next(file.iter_batches(1, columns=[column]), None)
    value = None if batch is None or not len(batch) else batch.column(0)[0].as_py()
    content = value.get("bytes") if isinstance(value, dict) else value
    return isinstance(content, bytes) and kinds.looks_like_sound(content[: kinds.HEAD])


def _mostly_sound(folder: Path) -> bool:
    sounds = images = 0
    for path in islice(files_below(folder), FILES_LOOKED_AT):
        ending = path.suffix.lower()
        sounds += ending in kinds.ENDINGS
        images += ending in image_kinds.ENDINGS
    return sounds > images


def _of_folder(path: Path) -> Keys:
    train = next((path / name for name in ("train", "training") if is_folder(path / name)), path)
    test = next((path / name for name in TESTS if is_folder(path / name)), None)
    given: Keys = {} if test is None or train == path else {"test": test}
    return {"source": "folder", "train": train, **given}


def _role(path: Path) -> str | None:
    """Whether a name says that something is no clips of classes, but without any keyword."""
    plain = path.stem.lower().strip("_").replace("-", "_").replace(" ", "_")
    return "negatives" if plain in NEGATIVES else "noise" if plain in NOISE else None


def _beside(path: Path, keys: Keys, names: tuple[str, ...]) -> tuple[Path, ...]:
    """What lies with the clips and is named so."""
    if not is_folder(path):
        return ()
    places = {path, Path(keys["train"])} if keys["source"] == "folder" else {path}
    wanted = "negatives" if names is NEGATIVES else "noise"
    there = (each for place in sorted(places) for each in sorted(place.iterdir()))
    return tuple(
        each
        for each in there
        if _role(each) == wanted and (is_folder(each) or each.suffix in (".parquet", ".jsonl"))
    )


def _heard(samples: Samples) -> tuple[list[int], list[float], list[float]]:
    """Of some clips the rate, the length, and how long something is said; both in seconds."""
    count = min(LOOKED_AT, len(samples.labels))
    ids = np.unique(np.linspace(0, len(samples.labels) - 1, count).astype(np.int64))
    found = list(_opened(samples, ids))
    if not found:
        raise UserError("no recording could be read", "check the data")
    rates, lengths, said = (list(each) for each in zip(*found, strict=True))
    return rates, lengths, said


def _opened(samples: Samples, ids: Any) -> Iterator[tuple[int, float, float]]:
    rate = RATES[-1]
    for payload in samples.read(ids):
        try:
            heard_samples, heard = decode(payload, rate)
        except BadSound:
            continue
        start, end = spoken(heard_samples, rate)
        yield heard.rate, len(heard_samples) / rate, (end - start) / rate
