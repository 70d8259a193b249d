"""Recordings from their source to the splits on disk, one by one."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.data.sound.assign import SoundPart
from edgedistill.data.sound.decode import BadSound, Heard, Payload, Samples, decode, decoded_blocks
from edgedistill.data.sound.notes import Notes
from edgedistill.data.sound.split import CLIP, DAMAGED, NOISE
from edgedistill.data.sound.window import Windows, clip_window, tiled
from edgedistill.data.sources.base import UNLABELLED
from edgedistill.data.splits import SPLITS, TEST_SEED, ArrayWriter, limited
from edgedistill.data.writing import UNUSED, Written
from edgedistill.errors import UserError
from edgedistill.progress import Reporter
from edgedistill.recipe import Data, Sound
from edgedistill.tasks.labels import LabelForm

AT_ONCE_BYTES = 4 << 20
"""Encoded recordings above that are decoded block by block, others whole, several at a time."""
QUIET_SHARE, NONE_SHARE = 0.25, 0.0625
"""Shares of the windows of noise that become quiet, and that become silence without any sound: a
device hears both."""
QUIET_DB = (-60.0, -20.0)
QUIET, HOW_QUIET = 110, 111
"""Slots of the random numbers, apart from those of other choices."""


@dataclass
class SoundWritten(Written):
    """What lies on disk, and what each window is called."""

    called: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    """Of recordings, by split."""

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
        self._rows: list[tuple[int, int, int, int, int, float]] = []
        self._length = 0

    def add(self, block: Samples) -> None:
        """A stretch of the recording that is being written."""
        self._audio.add(block)
        self._length += len(block)

    def end(
        self, name: str, kind: int, label: int, windows: Windows, numbers: Sequence[int],
        gains: Sequence[float],
    ) -> None:  # fmt: skip
        """The recording is whole, with these windows."""
        recording = len(self._lengths)
        self._lengths.append(self._length)
        self._kinds.append(kind)
        self._names.append(name)
        self._length = 0
        for (start, room), number, gain in zip(windows.tolist(), numbers, gains, strict=True):
            self._rows.append((recording, start, room, label, number, gain))

    def drop(self, name: str) -> None:
        """The recording turned out to be damaged: what is written of it belongs to nothing."""
        if self._length:
            self.end(name, DAMAGED, UNLABELLED, tiled(0, 1)[:0], (), ())

    def close(self, rate: int, length: int, most: int | None, seed: int, form: LabelForm) -> Any:
        """Write the rest, of at most `most` windows; returns labels, names and seconds."""
        self._audio.close()
        rows = self._rows
        labels = np.array([row[3] for row in rows], np.int64)
        if most is not None:
            kept = np.flatnonzero(limited(labels, most, seed, form))
            rows, labels = [rows[each] for each in kept], labels[kept]
        self._save("offsets", np.cumsum([0, *self._lengths]), np.int64)
        self._save("kinds", self._kinds, np.int8)
        self._save("windows", np.array([row[:3] for row in rows]).reshape(-1, 3), np.int64)
        self._save("labels", labels, np.int64)
        self._save("samples", [row[4] for row in rows], np.int64)
        self._save("gains", [row[5] for row in rows], np.float32)
        self._save("form", [rate, length], np.int64)
        text = json.dumps(self._names)
        (self._folder / "recordings.json").write_text(text, encoding="utf-8")
        names = [
            self._names[row[0]]
            if self._kinds[row[0]] == CLIP
            else f"{self._names[row[0]]} at {max(row[1], 0) / rate:.1f} s"
            for row in rows
        ]
        return labels, names, sum(self._lengths) / rate

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
                gains = _gains(numbers) if part.kind == NOISE else [1.0] * len(windows)
                writer.end(name, part.kind, label, windows, numbers, gains)
            done += 1
            reporter.tick("decode", done, total)
    for name, writer in writers.items():
        most = _most(data, name)
        written.labels[name], written.called[name], written.seconds[name] = writer.close(
            sound.rate, sound.length, most, seed, form
        )
    written.notes = notes.sentences()
    return written


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
    return max(1, round(data.limit * share))


def _gains(numbers: Sequence[int]) -> list[float]:
    """Of windows of noise with these numbers: some are quiet, some are silence."""
    ids = np.array(numbers, np.int64)
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
_Reading = Callable[[_Add], tuple[int, Windows, Heard]]
"""Gives the samples of a recording to a function, and returns how many there are, its windows, and
what was heard."""


def _recordings(
    part: SoundPart, ids: NDArray[np.int64], sound: Sound, workers: int | None
) -> Iterator[_Reading]:
    """One for each id, in order; several are decoded ahead, in threads: the decoders are in C and
    let go of the interpreter."""
    count = min(8, os.cpu_count() or 1) if workers is None else max(1, workers)
    labels = part.samples.labels
    waiting: deque[_Reading] = deque()
    with ThreadPoolExecutor(count, "edgedistill-decode") as threads:
        try:
            for at, payload in zip(ids, part.samples.read(ids), strict=True):
                clip = part.kind == CLIP and labels[at] != UNLABELLED
                if clip or _size(payload) <= AT_ONCE_BYTES:
                    future = threads.submit(decode, payload, sound.rate)
                    waiting.append(_whole(future, sound, clip))
                else:
                    waiting.append(_streamed(payload, sound))
                if len(waiting) > 2 * count:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            threads.shutdown(cancel_futures=True)


def _whole(future: Future[tuple[Samples, Heard]], sound: Sound, clip: bool) -> _Reading:
    def give(add: _Add) -> tuple[int, Windows, Heard]:
        samples, heard = future.result()
        add(samples)
        if clip:
            windows = clip_window(samples, sound.length, sound.cut, sound.rate)
        else:
            windows = tiled(len(samples), sound.length)
        return len(samples), windows, heard

    return give


def _streamed(payload: Payload, sound: Sound) -> _Reading:
    def give(add: _Add) -> tuple[int, Windows, Heard]:
        heard, length = Heard(), 0
        for block in decoded_blocks(payload, sound.rate, heard):
            add(block)
            length += len(block)
        return length, tiled(length, sound.length), heard

    return give


def _size(payload: Payload) -> int:
    if payload is None or isinstance(payload, bytes):
        return len(payload or b"")
    try:
        return os.stat(payload).st_size
    except OSError:  # which its decoder tells of
        return 0
