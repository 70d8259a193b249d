"""Utterances from their source to the splits on disk, each decoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgedistill.artifact import write_json
from edgedistill.data.sound.ahead import Decoding, decoded_ahead
from edgedistill.data.sound.assign import TRAIN, SoundPart
from edgedistill.data.sound.decode import SILENT, BadSound, Samples
from edgedistill.data.sources import Samples as Recordings
from edgedistill.data.speech.notes import SpeechNotes
from edgedistill.data.speech.parting import parted
from edgedistill.data.speech.utterances import NAMES, SPEAKERS, TEXTS
from edgedistill.data.splits import SPLITS, ArrayWriter
from edgedistill.progress import Reporter
from edgedistill.recipe.speech import Speech


class _TooLong(Exception):
    """A recording that may not be longer than the window is."""


class _SplitWriter:
    """Writes a split recording by recording."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._audio = ArrayWriter(folder / "audio.npy", (), "<i2")
        self._offsets = [0]
        self._texts: list[str | None] = []
        self._speakers: list[str | None] = []
        self._names: list[str] = []

    def add(self, block: Samples) -> None:
        """A stretch of the recording that is being written."""
        self._audio.add(block)

    def end(self, one: _Recording, lengths: Sequence[int], rate: int) -> None:
        """The recording is whole: utterances of these lengths, in samples."""
        start = 0
        for length in lengths:
            self._offsets.append(self._offsets[-1] + length)
            self._texts.append(one.text)
            self._speakers.append(one.speaker)
            place = f" at {start / rate:.1f} s" if len(lengths) > 1 else ""
            self._names.append(one.name + place)
            start += length

    def drop(self) -> None:
        """The recording is not to be in the split: take back what is written of it."""
        self._audio.keep(self._offsets[-1])

    def close(self, rate: int, window: int) -> int:
        """Write the rest; returns the number of utterances."""
        self._audio.close()
        np.save(self._folder / "offsets.npy", np.array(self._offsets, np.int64))
        np.save(self._folder / "form.npy", np.array([rate, window], np.int64))
        for name, values in (
            (TEXTS, self._texts), (SPEAKERS, self._speakers), (NAMES, self._names)
        ):  # fmt: skip
            write_json(self._folder / f"{name}.json", values)
        return len(self._names)


@dataclass(frozen=True)
class _Recording:
    """One that is to be written, and what is known of it."""

    name: str
    text: str | None
    speaker: str | None
    train: bool

    @staticmethod
    def of(samples: Recordings, at: int, train: bool) -> _Recording:
        texts, speakers = samples.texts, samples.speakers
        return _Recording(
            name=samples.name(at),
            text=None if texts is None else texts[at],
            speaker=None if speakers is None else speakers[at],
            train=train,
        )


@dataclass
class Written:
    """What lies on disk, and what was seen on the way."""

    notes: SpeechNotes
    counts: dict[str, int] = field(default_factory=dict)
    """Utterances of each split."""
    failed: list[dict[int, str]] = field(default_factory=list)
    """Of each part the recordings that could not be decoded, by number, with the reason."""


def write_utterances(
    parts: Sequence[SoundPart], speech: Speech, out: Path, reporter: Reporter
) -> Written:
    """Decode each recording and write it into its split, the last split first: what is in one
    sample by sample is left out of those before, silence apart.

    Of train what is longer than the window is parted, or left out if words are said in it.
    """
    return _Writing(parts, speech, out, reporter).all()


class _Writing:
    def __init__(
        self, parts: Sequence[SoundPart], speech: Speech, out: Path, reporter: Reporter
    ) -> None:
        self._parts, self._speech, self._out, self._reporter = parts, speech, out, reporter
        self._written = Written(SpeechNotes(speech.rate, speech.window), failed=[{} for _ in parts])
        self._total = sum(len(part.codes) for part in parts)
        self._done = self._heard = 0
        self._later: set[bytes] = set()
        """Digests of the recordings in splits that are written already."""

    def all(self) -> Written:
        """Each split, the last first."""
        for code, name in reversed(list(enumerate(SPLITS))):
            writer, digests = _SplitWriter(self._out / name), set()
            for number, part in enumerate(self._parts):
                digests |= self._part(number, part, code, writer)
            self._later |= digests
            self._written.counts[name] = writer.close(self._speech.rate, self._speech.window)
        return self._written

    def _part(self, number: int, part: SoundPart, code: int, writer: _SplitWriter) -> set[bytes]:
        """Those of a part that are in one split; returns their digests."""
        ids = np.flatnonzero(part.codes == code)
        given = ((payload, False) for payload in part.samples.read(ids))
        found = set()
        for at, decoding in zip(ids.tolist(), decoded_ahead(given, self._speech.rate), strict=True):
            one = _Recording.of(part.samples, at, code == TRAIN)
            try:
                found.add(self._one(one, decoding, writer))
            except BadSound as bad:
                writer.drop()
                self._written.notes.skip(one.name, bad.fault, bad.reason)
                self._written.failed[number][at] = f"{one.name}: {bad.reason}"
            except _TooLong:
                writer.drop()
                self._written.notes.leave_out(one.name, "long")
            self._done += 1
            self._tick()
        return found - {b""}

    def _one(self, one: _Recording, decoding: Decoding, writer: _SplitWriter) -> bytes:
        """Write it, unless a later split has it; returns its digest, of silence nothing."""
        digest = hashlib.blake2b(digest_size=16)
        lengths = self._added(one, self._listened(decoding.blocks, digest), writer)
        silent = decoding.heard.peak < SILENT
        if not silent and digest.digest() in self._later:
            writer.drop()
            self._written.notes.leave_out(one.name, "copy")
            return b""
        writer.end(one, lengths, self._speech.rate)
        longer = max(lengths) > self._speech.window
        self._written.notes.add(one.name, decoding.heard, one.text, len(lengths), longer)
        return b"" if silent else digest.digest()

    def _added(
        self, one: _Recording, blocks: Iterator[Samples], writer: _SplitWriter
    ) -> Sequence[int]:
        """Writes its samples; returns the length of each utterance."""
        lengths = []
        if one.train and not one.text:
            for piece in parted(blocks, self._speech.window, self._speech.rate):
                writer.add(piece)
                lengths.append(len(piece))
            return lengths
        length = 0
        for block in blocks:
            length += len(block)
            if one.train and length > self._speech.window:
                raise _TooLong
            writer.add(block)
        return [length]

    def _listened(self, blocks: Iterator[Samples], digest: hashlib.blake2b) -> Iterator[Samples]:
        for block in blocks:
            digest.update(np.ascontiguousarray(block).data)
            self._heard += len(block)
            self._tick()
            yield block

    def _tick(self) -> None:
        hours = self._heard / self._speech.rate / 3600
        self._reporter.tick("decode", self._done, self._total, f"{hours:.1f} h of sound")
