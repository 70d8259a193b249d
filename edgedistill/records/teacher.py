"""What the stage `teacher` leaves beside a model of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgedistill.records.codec import Record


@dataclass(frozen=True)
class TeacherRecord(Record):
    """A teacher that is no model of ours: its answers are asked for where they are needed."""

    FILE: ClassVar[str] = "teacher.json"

    teacher: str
    """Fingerprint of all that it answers from."""


@dataclass(frozen=True)
class TextsRecord(Record):
    """The texts whose places in a retrieval's space `texts.npy` holds, row by row."""

    FILE: ClassVar[str] = "texts.json"

    captions: tuple[str, ...]
    scale: float
    """Factor on the cosine between an image and a text."""
