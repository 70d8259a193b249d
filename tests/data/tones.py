"""Sound made on the spot: words of three tones each, which nobody says."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 8000


def word(number: int, take: int = 0, seconds: float = 0.4, rate: int = RATE) -> np.ndarray:
    """(samples,) float32: the same `number` is the same word; `take` is another utterance of it."""
    notes = np.random.default_rng(number).uniform(300, 3000, 3)
    random = np.random.default_rng([number, take])
    at = np.arange(round(seconds * rate)) / rate
    parts = np.array_split(at, 3)
    tones = [
        np.sin(
            2 * np.pi * note * (1 + 0.03 * random.standard_normal()) * part + 7 * random.random()
        )
        for note, part in zip(notes, parts, strict=True)
    ]
    breath = 0.02 * random.standard_normal(len(at))
    return (0.3 * np.concatenate(tones) + breath).astype(np.float32)


def hiss(seed: int, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """(samples,) float32"""
    random = np.random.default_rng([9, seed])
    return (0.05 * random.standard_normal(round(seconds * rate))).astype(np.float32)


def encoded(samples: np.ndarray, rate: int = RATE, kind: str = "WAV", **how: Any) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, **how)
    return stream.getvalue()


def write(path: Path, samples: np.ndarray, rate: int = RATE, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **how)
    return path


def words(root: Path, **counts: int) -> Path:
    """A folder of class folders, each with so many utterances of a word of its own."""
    for number, (name, count) in enumerate(counts.items()):
        for take in range(count):
            write(root / name / f"{take}.wav", word(number, take))
    return root


def recordings(root: Path, count: int, seconds: float = 2.5) -> Path:
    """A folder of recordings that hold none of these words."""
    for number in range(count):
        spoken = [word(100 * (1 + number) + part) for part in range(round(seconds / 0.4) + 1)]
        write(root / f"{number}.wav", np.concatenate(spoken)[: round(seconds * RATE)])
    return root


def noises(root: Path, count: int = 4, seconds: float = 2.0) -> Path:
    for number in range(count):
        write(root / f"{number}.wav", hiss(number, seconds))
    return root
