"""Which files a folder is searched for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgedistill.data.image import kinds as image_kinds
from edgedistill.data.sound import kinds as sound_kinds


@dataclass(frozen=True)
class Kind:
    """Files of one kind."""

    word: str
    """What many of them are called."""
    usual: str
    """An ending that is often seen."""
    endings: Mapping[str, str]
    """The kind of file that an ending stands for."""
    is_read: Callable[[Path], bool]
    """Whether a file is one that is read here."""
    why_not: Callable[[str], str]
    """Why files of an ending are passed over, in words."""


IMAGES = Kind("images", ".png", image_kinds.ENDINGS, image_kinds.is_read, image_kinds.why_not)
SOUNDS = Kind("recordings", ".wav", sound_kinds.ENDINGS, sound_kinds.is_read, sound_kinds.why_not)
