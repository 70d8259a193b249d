"""A teacher is anything that answers: images or sound in, a distribution over the classes out."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact
from edgedistill.errors import UserError
from edgedistill.recipe import ModelCommon
from edgedistill.recipe import Teacher as Config
from edgedistill.signature import Inputs, image_shape, sound_length

Images = NDArray[np.uint8]
Waves = NDArray[np.int16]
Floats = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class TeacherBatch:
    """A batch of samples that a teacher is asked about.

    ids: (batch,), the samples' numbers in their split; samples: (batch,), their numbers in the
    user's own training data (or test data, where `of_test`), in its order; inputs: float32
    (batch, ...) by name, in the order in which a model takes them.
    """

    ids: Ids
    samples: Ids
    of_test: bool
    inputs: Mapping[str, Floats]

    @property
    def pixels(self) -> Floats:
        """(batch, channels, height, width), float32 in 0..1."""
        return self.inputs["pixels"]

    @property
    def images(self) -> Images:
        """(batch, height, width, channels), uint8."""
        rounded = np.rint(self.pixels * 255).astype(np.uint8)
        return np.ascontiguousarray(rounded.transpose(0, 2, 3, 1))

    @property
    def sound(self) -> Floats:
        """(batch, length), float32 in -1..1."""
        return self.inputs["samples"]

    @property
    def waves(self) -> Waves:
        """(batch, length), int16, as a WAV file holds them."""
        return np.rint(self.sound * 32768).clip(-32768, 32767).astype(np.int16)

    @property
    def integers(self) -> Images | Waves:
        """What is asked about, as files hold it: `images`, or `waves`."""
        return self.waves if "samples" in self.inputs else self.images


@dataclass(frozen=True)
class Predictions:
    """A part of the answers to a batch.

    at: (n,), their places in the batch; logits: (n, classes), float32. Probabilities are given as
    their logarithms.
    """

    at: Ids
    logits: Floats
    agreement: Floats | None = None
    """(n,): for an ensemble, the weight of its members that vote for the class it answers."""


class Teacher(Protocol):
    """What is asked for answers. One that also places texts has `texts(captions) -> Texts`."""

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """Yield the answers as they come, each once, in any order, so that those that came are
        not lost when a later one fails.

        Raises UserError: it does not answer, or not with a distribution over the classes.
        """


@dataclass(frozen=True)
class TeacherContext:
    """What a teacher is opened with."""

    artifact: Path
    """Folder of the stage `teacher`; a torch model lies in `model`."""
    classes: Sequence[str]
    inputs: Inputs
    """What it is called with."""
    precision: str = "fp32"
    answers: Path | None = None
    """Folder in which answers that are paid for are kept for good."""
    sent: Counter[str] = field(default_factory=Counter)
    """How many requests this run has sent to each endpoint."""
    rate: int | None = None
    """Samples a second, where it is asked about sound."""

    @property
    def image(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures that it sees."""
        shape = image_shape(self.inputs)
        assert shape is not None, "a teacher of pictures, where the samples are none"
        return shape

    @property
    def sound(self) -> int | None:
        """Raw samples in each window of sound that it hears; None where it sees pictures."""
        return sound_length(self.inputs)


def open_teacher(config: Config, context: TeacherContext) -> Teacher:
    """The teacher that a recipe names. Raises UserError: it is not there, needs a package that is
    missing, or its outputs do not line up with the classes."""
    teacher = open_body(config, context)
    if not fits_a_layer(config):
        return teacher
    from edgedistill.distill.teachers.fitted import FittedTeacher

    return FittedTeacher(teacher, context)


def open_body(config: Config, context: TeacherContext) -> Teacher:
    """The same without the layer that was fitted to what it gives, where it gives embeddings."""
    module = importlib.import_module(config.opened_by)
    teacher: Teacher = module.open_(config, context)
    return teacher


def fits_a_layer(config: Config) -> bool:
    """Whether a teacher gives embeddings, from which a layer that is learned here answers."""
    return getattr(config, "outputs", "") == "embedding"


def identity(config: Config, fingerprint: str, artifact: Artifact) -> str:
    """Digest of all that the answers depend on, beside the images: of a torch model, and a layer
    that was fitted, the weights that the stage `teacher` left, of any other teacher what the recipe
    names."""
    learned = isinstance(config, ModelCommon) or fits_a_layer(config)
    return artifact.digest if learned else fingerprint


def log_probabilities(values: Any, least: float = 1e-7) -> Floats:
    """Probabilities (..., classes) as logits, float32 (..., classes): their logarithms, none below
    that of `least`."""
    logits: Floats = np.log(np.maximum(np.asarray(values, np.float64), least)).astype(np.float32)
    return logits


def check_answers(logits: Floats, count: int, classes: Sequence[str], who: str) -> Floats:
    """`logits` as float32, if they are (count, classes). Raises UserError with both shapes."""
    if logits.shape != (count, len(classes)):
        named = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        raise UserError(
            f"{who} answers with shape {tuple(logits.shape)} for {count} samples; the data has "
            f"{len(classes)} classes ({named}), expected ({count}, {len(classes)})",
            "teacher and data must have the same classes, in the same order",
        )
    return np.ascontiguousarray(logits, np.float32)
