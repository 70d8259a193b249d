"""What a recognizer's files are, and how an app decodes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from edgedistill.errors import UserError
from edgedistill.records.codec import Record
from edgedistill.records.export import FileEntry

VOCABULARY = "vocabulary.json"
"""File of a recognizer's tokens."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Of greedy decoding; tokens by their numbers."""

    prompt: tuple[int, ...]
    """What begins each transcript: its start, the language and the task where the model knows
    several, and that no times are wanted."""
    end: int
    """The token that ends it."""
    suppressed: tuple[int, ...] = ()
    """Never said."""
    suppressed_first: tuple[int, ...] = ()
    """Not said first."""
    limit: int
    """Tokens of a transcript, the prompt with them, at most."""
    no_speech: int | None = None
    """The token whose probability after the first of the prompt is that of no speech at all."""

    def trimmed(self, kept: Sequence[int]) -> Rules:
        """The same of a vocabulary of `kept` tokens.

        Raises UserError: a token of the prompt, or the end, is not kept.
        """
        place = {token: number for number, token in enumerate(kept)}
        lost = [token for token in (*self.prompt, self.end) if token not in place]
        if lost:
            raise UserError(
                f"the vocabulary that is kept lacks tokens {lost}, which begin or end each "
                "transcript",
                "keep them",
            )
        return replace(
            self,
            prompt=tuple(place[each] for each in self.prompt),
            end=place[self.end],
            suppressed=tuple(place[each] for each in self.suppressed if each in place),
            suppressed_first=tuple(place[each] for each in self.suppressed_first if each in place),
            no_speech=None if self.no_speech is None else place.get(self.no_speech),
        )


@dataclass(frozen=True, kw_only=True)
class Guards:
    """What ends a transcript that has gone wrong; by default nothing does, as in published
    figures."""

    repeats: int | None = None
    """Times that an n-gram of up to `longest` tokens may follow itself: at the next one the
    transcript ends, and the repetitions are taken back."""
    longest: int = 16
    """Tokens of an n-gram that is looked for."""
    no_speech: float = 1.0
    """Its probability, up to which something is said at all."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the files of a runtime and precision make of a golden utterance."""

    runtime: str
    precision: str
    tokens: tuple[int, ...]
    """Without prompt and end, with the guards of what ships."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A golden utterance: a recording of the validation set, no longer than the window."""

    file: str
    """WAV, one channel, int16, at the recognizer's rate."""
    said: tuple[Said, ...]


@dataclass(frozen=True, kw_only=True)
class RecognizerRecord(Record):
    """The files of a recognizer's two programs in each runtime and precision, and what decoding
    with them takes. Its tokens lie beside it, in `VOCABULARY`."""

    FILE: ClassVar[str] = "recognizer.json"

    language: str
    """Whisper's code of it."""
    rate: int
    """Samples a second."""
    window: int
    """What `encode` takes, in samples."""
    rules: Rules
    guards: Guards
    files: tuple[FileEntry, ...]
    """The primary runtime's first; `program` says which each holds."""
    golden: tuple[Utterance, ...] = ()
    """Their files lie beside the others."""

    def pairs(self) -> tuple[tuple[FileEntry, FileEntry], ...]:
        """For each runtime and precision the file of `encode` and that of `decode_step`, which is
        the same where one holds both."""
        found: dict[tuple[str, str], dict[str, FileEntry]] = {}
        for entry in self.files:
            found.setdefault((entry.runtime, entry.precision), {})[entry.program] = entry
        return tuple((each["encode"], each["decode_step"]) for each in found.values())

    def shipped(self) -> tuple[FileEntry, FileEntry]:
        """What the contract is held against: of the primary runtime's files the smallest."""
        first = self.files[0].runtime
        return min(
            (pair for pair in self.pairs() if pair[0].runtime == first),
            key=lambda pair: sum({each.file: each.bytes for each in pair}.values()),
        )
