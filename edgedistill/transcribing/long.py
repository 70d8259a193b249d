"""Sound of any length to text: cut at its quietest places, decoded piece by piece, joined."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgedistill.data.sound.decode import FULL, SILENT, Samples, as_floats
from edgedistill.data.speech.parting import parted
from edgedistill.errors import UserError
from edgedistill.transcribing.decoding import (
    Decoded,
    Floats,
    Guards,
    Recognizer,
    Rules,
    greedy,
)
from edgedistill.transcribing.vocabulary import Vocabulary
from edgedistill.transcripts.normalize import UNSPACED

_FRAME_MS = 30


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decoding takes beside a recognizer."""

    language: str
    """Whisper's code of it."""
    rate: int
    """Samples a second."""
    window: int
    """Samples that a recognizer hears at once."""
    rules: Rules
    guards: Guards
    vocabulary: Vocabulary


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What is said in a piece of sound that was decoded at once; `Decoded` explains the rest."""

    start: float
    """Seconds from the beginning of the sound."""
    end: float
    text: str
    """Empty where nothing is said."""
    tokens: tuple[int, ...]
    log_probability: float
    no_speech: float
    ended: bool
    """Whether all of it was transcribed, and neither its tokens nor the guards cut it off."""
    looped: bool


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What is said in a sound."""

    text: str
    segments: tuple[Segment, ...]
    """In order; silence between them is in none."""
    seconds: float
    """Of sound, silence with it."""
    language: str


class Counted:
    """Blocks of samples, counted as they go by."""

    def __init__(self, blocks: Iterable[Samples]) -> None:
        self._blocks = blocks
        self.samples = 0

    def __iter__(self) -> Iterator[Samples]:
        for block in self._blocks:
            self.samples += len(block)
            yield block


def segments(
    recognizer: Recognizer, blocks: Iterable[Samples], settings: Settings, silence: bool = False
) -> Iterator[Segment]:
    """What is said in a sound, as it is decoded, with the memory of little more than a window.

    Pieces are those of `parted`; one that is `silent` is passed over, unless `silence` is to be
    decoded too. None is told of those before it, so that a mistake in one stays there.

    blocks: (samples,) int16 each, at the settings' rate. Raises UserError: the recognizer gives
    what is no number.
    """
    end = 0
    for piece in parted(blocks, settings.window, settings.rate):
        start, end = end, end + len(piece)
        if not silence and silent(piece, settings.rate):
            continue
        window = filled(piece, settings.window)
        found = greedy(recognizer, window, settings.rules, settings.guards)
        yield _segment(found, start / settings.rate, end / settings.rate, settings.vocabulary)


def transcript(found: Sequence[Segment], samples: int, settings: Settings) -> Transcript:
    """What was found in a sound of so many samples, as one."""
    return Transcript(
        text=joined([each.text for each in found], settings.language),
        segments=tuple(found),
        seconds=samples / settings.rate,
        language=settings.language,
    )


def joined(texts: Iterable[str], language: str) -> str:
    """Texts one behind the other, with a space between where `language` writes any."""
    return ("" if language in UNSPACED else " ").join(filter(None, texts))


def silent(samples: Samples, rate: int) -> bool:
    """Whether the power of no 30 ms of samples (samples,) is above -70 decibels of full scale:
    far below quiet speech, and the noise of most microphones."""
    frame = max(1, rate * _FRAME_MS // 1000)
    square = np.zeros(-(-len(samples) // frame) * frame)
    square[: len(samples)] = samples.astype(np.float64) ** 2
    power = square.reshape(-1, frame).mean(axis=1)
    return bool(power.max(initial=0.0) <= (SILENT * FULL) ** 2)


def filled(piece: Samples, window: int) -> Floats:
    """A piece of at most a window as a whole one (window,) in -1..1, silence after it."""
    found = np.zeros(window, np.float32)
    found[: len(piece)] = as_floats(piece)
    return found


def _segment(found: Decoded, start: float, end: float, vocabulary: Vocabulary) -> Segment:
    if not math.isfinite(found.log_probability):
        raise UserError(
            f"from {start:.2f} to {end:.2f} s the recognizer gives what is no number",
            "compile the bundle again, or try the file of another runtime or precision",
        )
    return Segment(
        start=start,
        end=end,
        text=vocabulary.text(found.tokens),
        tokens=found.tokens,
        log_probability=found.log_probability,
        no_speech=found.no_speech,
        ended=found.ended,
        looped=found.looped,
    )
