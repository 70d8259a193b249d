"""A commented recipe to begin with for a Whisper."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgedistill.errors import UserError
from edgedistill.starter.text import yaml_lines

_WINDOWS = (5, 8, 10, 12, 16, 20, 25, 30)
"""Seconds."""
_LOOKED_AT, _WITHIN = 200, 0.98
"""Recordings that the window is chosen by, and the share of them that it holds."""


def is_whisper(teacher: str | None) -> bool:
    """Whether a teacher is a Whisper's folder, or is called one on the hub."""
    if teacher is None:
        return False
    if os.path.isdir(teacher):  # which says no of a name that can be none
        config = Path(teacher) / "config.json"
        return config.is_file() and '"whisper"' in config.read_text(errors="replace")
    owner, _, name = teacher.partition("/")
    named = bool(owner and name) and ":" not in teacher and "/" not in name
    return named and "whisper" in teacher.lower()


def speech_lines(teacher: str, data: str, folder: Path) -> tuple[list[str], list[str]]:
    """All of the recipe but its first lines, its paths from `folder`; and what was decided.

    Raises UserError: no recordings there; the teacher's folder is not whole.
    """
    lengths = _lengths(Path(data))
    seconds = next((each for each in _WINDOWS if np.mean(lengths <= each) >= _WITHIN), 30)
    local = Path(teacher).is_dir()
    notes = [
        f"data.seconds: {seconds}, as {np.mean(lengths <= seconds):.0%} of {len(lengths)} "
        "recordings looked at are no longer",
        "student: a quarter of the encoder's feed-forward channels goes, and half of the decoder's",
        "data.language: en is assumed",
    ]
    if not local:
        notes.insert(1, f"teacher: {teacher} is fetched from the hub when it is compiled")
    lines = [
        "task: transcription",
        "data:",
        *yaml_lines({"train": Path(data)}, folder),
        "  # test: test.jsonl          # with transcripts; else a share of `train` is set aside:",
        "  test_share: 0.2",
        "  language: en                # Whisper's code of what is spoken",
        f"  seconds: {seconds:<18} # the window that the models hear, 30 at most",
        "  # text: text                # column or key of what is said, where it is known",
        "  # speaker: speaker          # all of a speaker's utterances go to one split",
        "teacher:",
        *yaml_lines({"family": "whisper", "name": Path(teacher) if local else teacher}, folder),
        "student:",
        "  encoder_ffn: 0.75           # share of its feed-forward channels that stays",
        "  decoder_ffn: 0.75",
        "  # decoder_layers: 5         # so many stay, searched for",
        "  vocabulary: whole           # ascii: a smaller and faster step, for English",
        "  tokens: 192                 # of a window's transcript, at most",
        "stages:",
        "  # transcribe: {filter: {word_error_rate: 10}}",
        "  distill: {epochs: 3, batch_size: 8, learning_rate: 0.00001}  # null: as it was cut",
        "contract:                     # missed: exit code 1",
        "  max_wer_increase: 2         # points above the teacher",
        "  # max_wer: 12",
        "  # max_size_mb: 100",
    ]
    return lines, notes


def _lengths(place: Path) -> np.ndarray:
    """(recordings,), in seconds: of some of those in a place, taken evenly."""
    from edgedistill.data.speech.places import open_places
    from edgedistill.recipe.speech import Speech

    (found,) = open_places(Speech(train=(place,), language="en")).train
    count = min(len(found), _LOOKED_AT)
    ids = np.linspace(0, len(found) - 1, count).round().astype(np.int64)
    lengths = np.array(list(_seconds(found.samples.read(ids))))
    if not len(lengths):
        raise UserError(
            f"{place}: none of {count} recordings that were looked at can be opened",
            "give recordings as WAV, FLAC, MP3, Ogg, Opus or m4a",
        )
    return lengths


def _seconds(payloads: Iterator[object]) -> Iterator[float]:
    """Of each recording whose header tells it."""
    import soundfile

    for payload in payloads:
        try:
            told = soundfile.info(io.BytesIO(payload) if isinstance(payload, bytes) else payload)
        except (soundfile.SoundFileError, OSError, TypeError):
            continue
        yield told.frames / told.samplerate
