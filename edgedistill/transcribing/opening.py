"""Recognizers as they are judged: a teacher as it was given, and the files that ship."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.models.whisper.folder import Kept, generation, open_whisper
from edgedistill.records import FileEntry
from edgedistill.records.recognizer import VOCABULARY, Guards, RecognizerRecord
from edgedistill.runtimes import RUNTIMES
from edgedistill.transcribing.long import Settings
from edgedistill.transcribing.recognizers import InRuntime
from edgedistill.transcribing.rules import read_rules
from edgedistill.transcribing.vocabulary import Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from edgedistill.models.whisper.network import Whisper


def as_given(
    folder: Path, language: str, rate: int, tokens: int | None = None
) -> tuple[Whisper, Settings]:
    """A Whisper's folder, with its whole window and without guards; tokens: of a transcript, at
    most, if fewer than it was trained with."""
    model = open_whisper(folder, Kept(tokens=tokens))
    vocabulary = read_vocabulary(folder, model.shape.vocabulary)
    rules = read_rules(generation(folder), vocabulary, language, limit=tokens)
    settings = Settings(
        language=language, rate=rate, window=model.shape.samples, rules=rules, guards=Guards(),
        vocabulary=vocabulary,
    )  # fmt: skip
    return model, settings


def of_files(
    record: RecognizerRecord, pair: Sequence[FileEntry], place: Path
) -> tuple[InRuntime, Settings]:
    """Both programs of a runtime and a precision, as they ship; `place` holds what the record
    names."""
    loaded = [RUNTIMES[each.runtime].load(place / each.file, program=each.program) for each in pair]
    settings = Settings(
        language=record.language, rate=record.rate, window=record.window, rules=record.rules,
        guards=record.guards, vocabulary=Vocabulary.read(place / VOCABULARY),
    )  # fmt: skip
    return InRuntime(*loaded), settings
