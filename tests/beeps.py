"""Recordings made up for tests: each class a pitch, each speaker a voice, in WAV files."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

RATE, SECONDS = 8000, 0.25
PITCHES = {"high": 1800.0, "low": 500.0}
VOICES = ("ann", "bob", "cleo", "dan", "eve", "finn")


def tone(hertz: float, number: int, seconds: float = SECONDS) -> NDArray[np.int16]:
    """A beep in noise, (samples,)."""
    random = np.random.default_rng(number)
    at = np.arange(round(RATE * seconds)) / RATE
    sound = 0.4 * np.sin(2 * np.pi * hertz * (1 + 0.02 * random.normal()) * at)
    noisy = sound * random.uniform(0.3, 1) + 0.01 * random.normal(size=len(at))
    return (noisy * 32767).clip(-32768, 32767).astype(np.int16)


def hiss(number: int, seconds: float, level: float = 0.1) -> NDArray[np.int16]:
    random = np.random.default_rng(1000 + number)
    return (32767 * level * random.standard_normal(round(RATE * seconds))).clip(
        -32768, 32767
    ).astype(np.int16)  # fmt: skip


def write(path: Path, samples: NDArray[np.int16], rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def recordings(folder: Path, each: int = 6) -> dict[str, Any]:
    """`data` of a recipe over a manifest with speakers, negatives (chords) and noise (hiss)."""
    lines = []
    for at, (label, hertz) in enumerate(PITCHES.items()):
        for number in range(each * len(VOICES)):
            path = write(folder / label / f"{number}.wav", tone(hertz, 500 * at + number))
            speaker = VOICES[number % len(VOICES)]
            line = {"path": str(path.relative_to(folder)), "label": label, "speaker": speaker}
            lines.append(json.dumps(line))
    (folder / "clips.jsonl").write_text("\n".join(lines))
    for number in range(6):
        chord = tone(800, 3000 + number, 1.5) // 2 + tone(1100, 4000 + number, 1.5) // 2
        write(folder / "other" / f"{number}.wav", chord)
        write(folder / "noise" / f"{number}.wav", hiss(number, 1.5))
    return {
        "source": "manifest", "train": str(folder / "clips.jsonl"), "speaker": "speaker",
        "validation": 0.2,
        "sound": {"rate": RATE, "seconds": SECONDS, "negatives": [str(folder / "other")],
                  "noise": [str(folder / "noise")], "augment": {"noise": 0.2}},
    }  # fmt: skip


class Net(nn.Module):
    """A few filters of the samples, how loud each is, and a layer."""

    def __init__(self, classes: int, width: int = 8) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, width, 32, 8)
        self.head = nn.Linear(width, classes)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        loud = torch.relu(self.filters(samples.unsqueeze(1))).mean(2)
        answer: torch.Tensor = self.head(loud * 10)
        return answer
