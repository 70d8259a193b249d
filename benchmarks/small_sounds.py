"""Words of three tones that nobody says, long sound of them, and a compile of seconds on them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.transcript import changed

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))

from tones import RATE, encoded, hiss, noises, recordings, word, words, write

__all__ = [
    "HERE", "RATE", "STREAMING", "encoded", "hiss", "mixed", "noises", "recipe", "recordings",
    "with_sounds", "word", "words", "write",
]  # fmt: skip

QUICK = {"epochs": 1, "batch_size": 8}
FUNCTION = {"family": "function", "function": "mine:net"}
STREAMING = {
    "family": "ds_cnn", "width": 8, "blocks": 1, "time_kernel": 4, "band_kernel": 4,
    "band_stride": 2, "front_end": {"rate": RATE, "bands": 12, "highest_hz": RATE // 2},
}  # fmt: skip
MINE = """\
from torch import nn


def net(classes):
    listening = nn.Sequential(nn.Conv1d(1, 8, 32, 8), nn.ReLU(), nn.AdaptiveAvgPool1d(1))
    return nn.Sequential(nn.Unflatten(1, (1, -1)), listening, nn.Flatten(), nn.Linear(8, classes))
"""
TARGET = """\
description: this machine, by one runtime
isa: x86_64
runtimes: [onnxruntime]
precisions: [fp32]
scheme: {weight_bits: 8, weight_symmetric: true, per_channel: true, activation_symmetric: false,
         io: float}
threads: 1
package: python
"""
HERE = ("compile", "recipe.yaml", "--target", "here.yaml")


def recipe(**changes: Any) -> dict[str, Any]:
    """A compile of seconds, on the recordings that `with_sounds` makes."""
    sound = {"rate": RATE, "seconds": 0.5, "negatives": ["other"], "noise": ["noise"]}
    document: dict[str, Any] = {
        "name": "sounds",
        "data": {"source": "folder", "train": "words", "sound": sound},
        "teacher": FUNCTION,
        "student": FUNCTION,
        "stages": {
            "teacher": {"train": QUICK},
            "distill": QUICK,
            "quantize": None,
            "audit": {"corruption_samples": 0},
            "benchmark": {"runs": 10, "seconds": 0.1},
        },
    }
    return changed(document, **changes)


def with_sounds(folder: Path, **changes: Any) -> dict[str, Any]:
    """Two words, what is neither, and noise."""
    words(folder / "words", no=12, yes=12)
    recordings(folder / "other", 6)
    noises(folder / "noise")
    (folder / "mine.py").write_text(MINE)
    (folder / "here.yaml").write_text(TARGET)
    return recipe(**changes)


def mixed(seconds: int, rate: int) -> np.ndarray:
    """(samples,) float32 in -1..1: words near and far, other sound, noise and silence."""
    random = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * rate:
        kind, length = random.integers(4), random.uniform(0.3, 1.5)
        each = word(int(random.integers(200)), int(random.integers(99)), length, rate)
        if kind == 1:
            each = 10 * hiss(int(random.integers(99)), length, rate)
        elif kind == 2:
            each = np.zeros(len(each), np.float32)
        parts.append(each * np.float32(10 ** random.uniform(-2, 0.3)))
    whole: np.ndarray = np.concatenate(parts)[: seconds * rate].clip(-1, 1)
    return whole
