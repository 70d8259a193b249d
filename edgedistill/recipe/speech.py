"""What utterances of a speech recognizer are: recordings, and what is said in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from edgedistill.errors import nearest
from edgedistill.fields import FilePath, Name
from edgedistill.target import Frozen, each_once

LANGUAGES = tuple(
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he "
    "hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne "
    "nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk "
    "ur uz vi yi yo yue zh".split()
)
"""Whisper's codes (Radford et al. 2023, and Cantonese of its third version)."""


def _is_a_language(code: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(f"`{code}` is none of Whisper's languages; {nearest(code, [*LANGUAGES])}")
    return code


def _as_several(given: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    return given if isinstance(given, tuple) else (given,)


def _one_or_several(given: Any) -> str:
    # In brackets, as pydantic writes a union's kinds: messages leave such a level out.
    return "[several]" if isinstance(given, list | tuple) else "[one]"


if TYPE_CHECKING:
    Places = tuple[Path, ...]
else:
    _Several = Annotated[
        tuple[FilePath, ...], Field(min_length=1, max_length=1000), AfterValidator(each_once)
    ]
    Places = Annotated[
        Union[Annotated[FilePath, Tag("[one]")], Annotated[_Several, Tag("[several]")]],
        Discriminator(_one_or_several),
        AfterValidator(_as_several),
    ]
"""One or several; a recipe may give one without brackets."""
Language = Annotated[str, Field(max_length=10), AfterValidator(_is_a_language)]


class Speech(Frozen):
    """Utterances, and where they are known their transcripts: one channel of 16,000 samples a
    second."""

    rate: ClassVar[int] = 16_000
    """Samples a second that Whisper hears; recordings of other rates are resampled."""

    train: Places
    """Where recordings lie, one place or several: a folder, at any depth; a parquet file or a
    folder of them, such as a local Hugging Face data set; a JSON Lines manifest. Of a data set's
    files only those named after the split count, where any is named so."""
    test: Places | None = None
    """The same; without it a share of `train` is set aside."""
    audio: Name | None = None
    """Column, or in a manifest the key, of the recordings; by default `audio` or the like."""
    text: Name | None = "text"
    """Column or key of what is said, where a place has it: empty where nothing is said, null where
    nobody knows. `null`: transcripts are not read."""
    speaker: Name | None = "speaker"
    """Column or key that says who speaks, where a place has it: all of a speaker's utterances go to
    one split. `null`: speakers are not looked at."""
    language: Language
    """That is spoken, as Whisper's code, such as `en`."""
    validation: float = Field(default=0.1, gt=0.0, lt=0.9)
    """Share of the training utterances held out to make choices on; the test set is for the end."""
    test_share: float = Field(default=0.2, gt=0.0, lt=0.9)
    """Share of `train` that becomes the test set where `test` is not given."""
    seconds: float = Field(default=30.0, ge=1.0, le=30.0)
    """Length of the window that the models hear. What is longer is parted at its quietest places in
    train, and left out there if it has a transcript; it stays whole in validation and test."""

    noise: Places | None = None
    """Recordings without speech, the same way: how many words are made up in them is counted.
    Nothing is trained on them."""

    @property
    def window(self) -> int:
        """Its length in samples."""
        return round(self.rate * self.seconds)

    @model_validator(mode="after")
    def _test_is_something_else(self) -> Speech:
        for place in self.test or ():
            if place in self.train:
                raise ValueError(f"`{place}` is in `train` and in `test`")
        return self

    def asked_for(self, field: str) -> bool:
        """Whether the user named that column or key, so that some place should have it."""
        return field in self.model_fields_set and getattr(self, field) is not None
