"""What the stage `data` leaves beside its splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgedistill.records.codec import Record
from edgedistill.signature import Inputs, TensorSpec, image_inputs, sound_inputs


@dataclass(frozen=True)
class Twin:
    """An image that lies in two splits: its name in each, None in the third."""

    exact: bool
    """Whether every pixel is the same, or only nearly all."""
    classes: tuple[str | tuple[float, ...] | None, str | tuple[float, ...] | None]
    """Its class in the first of them and in the second, or its values; None where unknown."""
    train: str | None = None
    validation: str | None = None
    test: str | None = None


@dataclass(frozen=True)
class Duplicates:
    """Images of the second split that are in the first too, by `FIRST/SECOND`."""

    exact: dict[str, int]
    near: dict[str, int]
    examples: tuple[Twin, ...]


@dataclass(frozen=True)
class Pictures:
    """What every picture became."""

    size: tuple[int, int]
    """(height, width)"""
    resize: Literal["crop", "fit", "stretch"]
    """How a picture of another shape became one of that size."""
    channels: int


@dataclass(frozen=True)
class SoundForm:
    """What every recording became."""

    rate: int
    """Samples a second."""
    length: int
    """Of the window that the models see, in samples."""
    cut: Literal["end", "middle", "spoken"]
    """Which part of a longer clip that is."""
    unknown: int | None
    """The class of sound without a keyword; None where there is none."""
    silence: int | None
    """The class of sound without speech; the same."""
    unknown_per_clip: float
    """Training windows of class `unknown` for each other one that an epoch takes, at most."""
    by_speaker: bool
    """Whether no speaker is in two splits."""


@dataclass(frozen=True)
class DataRecord(Record):
    """What the samples are, how many there are, and what is odd about them."""

    FILE: ClassVar[str] = "data.json"

    task: str
    classes: tuple[str, ...]
    """What the models' outputs are; of an embedding, its dimensions."""
    labels: tuple[str, ...]
    """The names of the classes, or of a regression's values."""
    captions: tuple[str, ...]
    """For each label the text that a retrieval's images are near to."""
    pictures: Pictures | None
    """None where the samples are arrays of other kinds."""
    arrays: tuple[TensorSpec, ...]
    """Where they are: what a model takes, with the range of the training samples' values."""
    own_test: bool
    """Whether the source has a test split; else it was held out of its training data."""
    counts: dict[str, int]
    """Samples of each split."""
    unlabelled: int
    """Training samples whose label is unknown."""
    class_counts: dict[str, dict[str, int]]
    """By split and class; empty for a regression."""
    duplicates: Duplicates
    skipped: tuple[str, ...]
    """The first of what could not be decoded, with the reason."""
    sound: SoundForm | None = None
    """None where the samples are no sound."""

    @property
    def keywords(self) -> tuple[int, ...]:
        """The classes of sound that are meant, where others stand for whatever else there is; none
        where all are meant."""
        others = () if self.sound is None else (self.sound.unknown, self.sound.silence)
        if all(each is None for each in others):
            return ()
        return tuple(each for each in range(len(self.labels)) if each not in others)

    @property
    def inputs(self) -> Inputs:
        """What the models are called with."""
        return self.inputs_at(None)

    def inputs_at(self, size: tuple[int, int] | None) -> Inputs:
        """What a model is called with that sees the images in a size of its own, (height, width);
        None: the data's."""
        if self.sound is not None:
            return sound_inputs(self.sound.length)
        if self.pictures is None:
            return self.arrays
        return image_inputs(self.pictures.channels, *(size or self.pictures.size))
