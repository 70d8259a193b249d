"""Recordings from their source to the splits on disk, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import write_json
from edgedistill.data.counter import uniform
from edgedistill.data.sound.ahead import Decoding, decoded_ahead
from edgedistill.data.sound.assign import SoundPart
from edgedistill.data.sound.decode import BadSound, Heard, Samples
from edgedistill.data.sound.notes import Notes
from edgedistill.data.sound.split import CLIP, DAMAGED, NOISE, SPEAKERS
from edgedistill.data.sound.window import Starts, clip_window, rooms, tiled
from edgedistill.data.sources.base import UNLABELLED
from edgedistill.data.split import Labels
from edgedistill.data.splits import SPLITS, TEST_SEED, ArrayWriter, limited
from edgedistill.data.writing import UNUSED, Written
from edgedistill.errors import UserError
from edgedistill.progress import Reporter
from edgedistill.recipe import Data, Sound
from edgedistill.tasks.labels import LabelForm

QUIET_SHARE, NONE_SHARE = 0.25, 0.0625
"""Shares of the windows of noise that become quiet, and that become silence without any sound: a
device hears both."""
QUIET_DB = (-60.0, -20.0)
QUIET, HOW_QUIET, WHICH = 110, 111, 112
"""Slots of the random numbers, apart from those of other choices."""


@dataclass
class SoundWritten(Written):
    """What lies on disk, and what each window is called."""

    called: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def name_of(self, split: str, image: int) -> str:
        """What a person finds a window by; image: its place in the split."""
        return self.called[split][image]

    def names_of(self, split: str) -> Iterator[str]:
        """The same of all windows of a split, in order."""
        return iter(self.called[split])


class _SplitWriter:
    """Writes a split recording by recording."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._audio = ArrayWriter(folder / "audio.npy", (), "<i2")
        self._lengths: list[int] = []
        self._kinds: list[int] = []
        self._names: list[str] = []
        self._speakers: list[str | None] = []
        self._rows: list[tuple[int, int, int, int, float]] = []
        self._length = 0

    def add(self, block: Samples) -> None:
        """A stretch of the recording that is being written."""
        self._audio.add(block)
        self._length += len(block)

    def end(
        self, name: str, kind: int, label: int, starts: Starts, numbers: Sequence[int],
        gains: Sequence[float], speaker: str | None = None,
    ) -> None:  # fmt: skip
        """The recording is whole, with these windows; speaker: of a clip, where named."""
        recording = len(self._lengths)
        self._lengths.append(self._length)
        self._kinds.append(kind)
        self._names.append(name)
        self._speakers.append(speaker)
        self._length = 0
        for start, number, gain in zip(starts.tolist(), numbers, gains, strict=True):
            self._rows.append((recording, start, label, number, gain))

    def drop(self, name: str) -> None:
        """The recording turned out to be damaged: what is written of it belongs to nothing."""
        if self._length:
            self.end(name, DAMAGED, UNLABELLED, np.empty(0, np.int64), (), ())

    def close(
        self, rate: int, length: int, most: int | None, seed: int, form: LabelForm
    ) -> tuple[Labels, list[str]]:
        """Write the rest, of at most `most` windows of `length` samples; returns the windows'
        labels (windows,) and names."""
        self._audio.close()
        lengths, kinds = np.array(self._lengths, np.int64), np.array(self._kinds, np.int8)
        rows = self._rows
        kept = self._kept(kinds, most, seed, form)
        whole = np.array([rows[each][:4] for each in kept], np.int64).reshape(-1, 4)
        places, starts, labels, numbers = whole.T
        room = rooms(starts, places, lengths, length)
        room[kinds[places] == CLIP] = 0
        self._save("offsets", np.concatenate([[0], np.cumsum(lengths)]), np.int64)
        self._save("kinds", kinds, np.int8)
        self._save("windows", np.stack([places, starts, room], axis=1), np.int64)
        self._save("labels", labels, np.int64)
        self._save("samples", numbers, np.int64)
        self._save("gains", [rows[each][4] for each in kept], np.float32)
        self._save("form", [rate, length], np.int64)
        if any(self._speakers):
            write_json(self._folder / SPEAKERS, self._speakers)
        names = [
            self._names[place]
            if kinds[place] == CLIP
            else f"{self._names[place]} at {max(start, 0) / rate:.1f} s"
            for place, start in zip(places, starts, strict=True)
        ]
        return labels, names

    def _kept(
        self, kinds: NDArray[np.int8], most: int | None, seed: int, form: LabelForm
    ) -> NDArray[np.int64]:
        """Which windows: of noise no more than of the largest class of clips, of all at most
        `most`."""
        kind = kinds[np.array([row[0] for row in self._rows], np.int64)]
        labels = np.array([row[2] for row in self._rows], np.int64)
        clips = labels[(kind == CLIP) & (labels >= 0)]
        noise = np.flatnonzero(kind == NOISE)
        drawn = noise[np.argsort(uniform(TEST_SEED, noise, slot=WHICH), kind="stable")]
        kept = np.delete(np.arange(len(labels)), drawn[np.bincount(clips, minlength=1).max() :])
        if most is None:
            return kept
        least = len(np.unique(labels[kept]))  # one of each class
        return kept[limited(labels[kept], max(most, least), seed, form)]

    def _save(self, name: str, values: Any, dtype: Any) -> None:
        np.save(self._folder / f"{name}.npy", np.asarray(values, dtype))


def write_sounds(
    parts: Sequence[SoundPart], data: Data, seed: int, form: LabelForm, out: Path,
    reporter: Reporter,
) -> SoundWritten:  # fmt: skip
    """Decode each recording, cut it into windows, and write it into its split.

    Raises UserError: more of them cannot be decoded than the recipe allows.
    """
    sound = data.sound
    assert sound is not None, "samples that are no sound"
    written, notes = SoundWritten(), Notes(sound.rate)
    writers = {name: _SplitWriter(out / name) for name in SPLITS}
    total = sum(int(np.sum(part.codes != UNUSED)) for part in parts)
    done = 0
    # Windows of recordings that are no clips are numbered after all clips, whatever their split.
    made = max(len(part.samples.labels) for part in parts if part.kind == CLIP)
    for part in parts:
        ids = np.flatnonzero(part.codes != UNUSED)
        for at, recording in zip(ids, _recordings(part, ids, sound, data.workers), strict=True):
            name, label = part.samples.name(int(at)), int(part.samples.labels[at])
            writer = writers[SPLITS[part.codes[at]]]
            try:
                length, windows, heard = recording(writer.add)
            except BadSound as bad:
                writer.drop(name)
                _skip(written, data, total, f"{name}: {bad.reason}", label, bad.hint)
            else:
                notes.add(name, heard, length, sound, part.kind == CLIP and label != UNLABELLED)
                numbers, made = _numbers(part, int(at), len(windows), made)
                gains = (
                    _gains(int(at), len(windows)) if part.kind == NOISE else [1.0] * len(windows)
                )
                speaker = _speaker(part, int(at))
                writer.end(name, part.kind, label, windows, numbers, gains, speaker)
            done += 1
            reporter.tick("decode", done, total)
    for name, writer in writers.items():
        most = _most(data, name)
        found = writer.close(sound.rate, sound.length, most, seed, form)
        written.labels[name], written.called[name] = found
    written.notes = notes.sentences()
    return written


def _speaker(part: SoundPart, at: int) -> str | None:
    speakers = part.samples.speakers
    return speakers[at] if speakers is not None and part.kind == CLIP else None


def _numbers(part: SoundPart, at: int, windows: int, made: int) -> tuple[list[int], int]:
    """Of a recording's windows in the user's data, and the next that is free."""
    if part.kind == CLIP and part.samples.labels[at] != UNLABELLED:
        return [at], made
    return list(range(made, made + windows)), made + windows


def _most(data: Data, split: str) -> int | None:
    """How many windows a split may have."""
    if data.limit is None or split == "test":
        return None
    share = data.validation if split == "validation" else 1 - data.validation
    return round(data.limit * share)


def _gains(recording: int, windows: int) -> list[float]:
    """Of a recording's windows of noise: some are quiet, some are silence. They depend on no other
    recording, so that a split read by itself is the same; recording: its number in its source."""
    ids = (np.int64(recording) << 20) + np.arange(windows)
    drawn, depth = (uniform(TEST_SEED, ids, slot=slot) for slot in (QUIET, HOW_QUIET))
    low, high = QUIET_DB
    quiet = 10 ** ((low + (high - low) * depth) / 20)
    gains = np.where(drawn < NONE_SHARE, 0.0, np.where(drawn < QUIET_SHARE, quiet, 1.0))
    return [float(each) for each in gains]


def _skip(
    written: SoundWritten, data: Data, total: int, problem: str, label: int, hint: str
) -> None:
    if not data.skip_unreadable:
        raise UserError(problem, hint)
    written.skipped.append((label, problem))
    if len(written.skipped) > data.skip_unreadable * total:
        raise UserError(
            f"{len(written.skipped)} recordings or more of {total} cannot be decoded, past "
            f"`data.skip_unreadable: {data.skip_unreadable}`; first {written.skipped[0][1]}",
            "mend or remove them, or allow a larger share",
        )


_Add = Callable[[Samples], None]
_Reading = Callable[[_Add], tuple[int, Starts, Heard]]
"""Gives the samples of a recording to a function, and returns how many there are, its windows, and
what was heard."""


def _recordings(
    part: SoundPart, ids: NDArray[np.int64], sound: Sound, workers: int | None
) -> Iterator[_Reading]:
    """One for each id, in order."""
    clips = [part.kind == CLIP and bool(part.samples.labels[at] != UNLABELLED) for at in ids]
    given = zip(part.samples.read(ids), clips, strict=True)
    for decoding, clip in zip(decoded_ahead(given, sound.rate, workers), clips, strict=True):
        yield _clip(decoding, sound) if clip else _tiled(decoding, sound)


def _clip(decoding: Decoding, sound: Sound) -> _Reading:
    def give(add: _Add) -> tuple[int, Starts, Heard]:
        samples = np.concatenate(list(decoding.blocks))
        add(samples)
        windows = clip_window(samples, sound.length, sound.cut, sound.rate)
        return len(samples), windows, decoding.heard

    return give


def _tiled(decoding: Decoding, sound: Sound) -> _Reading:
    def give(add: _Add) -> tuple[int, Starts, Heard]:
        length = 0
        for block in decoding.blocks:
            add(block)
            length += len(block)
        return length, tiled(length, sound.length), decoding.heard

    return give
