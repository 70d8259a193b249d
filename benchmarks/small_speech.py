"""Recordings in which nothing is said, a Whisper that has learned nothing, and a compile of seconds
on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.small_sounds import HERE, TARGET, encoded
from benchmarks.transcript import changed

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import whisper_models
from sound_models import chirp

__all__ = ["HERE", "RATE", "chirp", "encoded", "recipe", "whisper_models", "with_speech"]

RATE = 16_000
BELIEVE_ALL = {
    "log_probability": -100, "no_speech": 1, "repeats": 10_000, "words_per_second": 1000,
    "compression_ratio": 1000, "word_error_rate": 10_000,
}  # fmt: skip
Line = dict[str, Any]


def recipe(**changes: Any) -> dict[str, Any]:
    """A compile of seconds, of what `with_speech` leaves."""
    document: dict[str, Any] = {
        "name": "speech", "task": "transcription",
        "data": {
            "train": "train.jsonl", "test": "test.jsonl", "language": "en", "seconds": 1,
            "validation": 0.3,
        },
        "teacher": {"family": "whisper", "name": "teacher"},
        "student": {"decoder_layers": 1, "tokens": 24},
        "stages": {
            "transcribe": {"filter": BELIEVE_ALL},
            "distill": {"epochs": 1, "batch_size": 4},
        },
    }  # fmt: skip
    return changed(document, **changes)


def with_speech(folder: Path, **changes: Any) -> dict[str, Any]:
    """Recordings of half a second, a manifest of those to train on and one of the test set, and the
    teacher."""
    for split, count in (("train", 12), ("test", 4)):
        (folder / split).mkdir()
        lines: list[Line] = []
        for number in range(count):
            name = f"{split}/{number}.wav"
            samples = chirp(6000 + 400 * number, number + 100 * len(split), RATE)
            (folder / name).write_bytes(encoded(samples, RATE))
            lines.append({"path": name, "text": "the hat", "speaker": f"{split}{number % 6}"})
        write_lines(folder / f"{split}.jsonl", lines)
    whisper_models.save(folder / "teacher")
    (folder / "here.yaml").write_text(TARGET)
    return recipe(**changes)


def write_lines(path: Path, lines: list[Line]) -> None:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def change_lines(path: Path, change: Callable[[Line], Line]) -> None:
    """Of a manifest, each."""
    write_lines(path, [change(json.loads(line)) for line in path.read_text().splitlines()])


def add_recording(folder: Path, name: str, content: bytes, text: str | None = None) -> None:
    """One more to train on."""
    (folder / name).write_bytes(content)
    with (folder / "train.jsonl").open("a") as stream:
        stream.write(json.dumps({"path": name, "text": text, "speaker": name}) + "\n")


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.float32)
