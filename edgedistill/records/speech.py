"""What becomes of a recipe's utterances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgedistill.records.codec import Record

LeftOut = Literal["damaged", "empty", "no numbers", "long", "copy"]
"""Why a recording is in no split: it cannot be decoded, or not to its end; holds no samples; holds
what is no number; is of train, longer than the window and has a transcript; is in a later split
too."""


@dataclass(frozen=True)
class SpeechRecord(Record):
    """How much there is to hear, and what is odd about it."""

    FILE: ClassVar[str] = "speech.json"

    language: str
    """Whisper's code of it."""
    rate: int
    """Samples a second."""
    window: int
    """What a model hears, in samples."""
    own_test: bool
    """Whether a test set was given; else it was held out of the training data."""
    by_speaker: bool
    """Whether every speaker is known, and in one split."""
    counts: dict[str, int]
    """Utterances of each split; of train the pieces of what was parted."""
    hours: dict[str, float]
    """Of each split."""
    speakers: dict[str, int]
    """Of each split those that are named."""
    with_text: dict[str, int]
    """Utterances of each split whose transcript is known, be it empty."""
    longest: dict[str, float]
    """Of each split the longest utterance, in seconds."""
    parted: int
    """Recordings of train that became several utterances."""
    left_out: dict[LeftOut, int]
    """Recordings that are in no split, by reason."""
    skipped: tuple[str, ...]
    """The first that could not be decoded, with what is wrong."""
    notes: tuple[str, ...]
    """What a user should know, in sentences."""
