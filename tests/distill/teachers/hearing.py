"""A batch of sound to a teacher, and a linear classifier of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from asking import CLASSES
from numpy.typing import NDArray

from edgedistill.distill.teachers import TeacherBatch, TeacherContext
from edgedistill.signature import sound_inputs

RATE = 8000
LENGTH = 800
Floats = NDArray[np.float32]


def hearing(length: int = LENGTH, rate: int = RATE, **changes: Any) -> TeacherContext:
    settings: dict[str, Any] = {"classes": CLASSES, "inputs": sound_inputs(length), **changes}
    return TeacherContext(Path(), rate=rate, **settings)


def heard(count: int = 5, length: int = LENGTH) -> TeacherBatch:
    """Tones in noise, as 16 bits hold them; sample 100 + n of the user's is window n."""
    random, ids = np.random.default_rng(count), np.arange(count)
    tones = np.sin(np.arange(length) * random.uniform(0.05, 1.0, (count, 1)))
    samples = 0.5 * tones + random.normal(0, 0.02, (count, length))
    samples = (np.rint(samples * 32768) / 32768).astype(np.float32)
    return TeacherBatch(ids, ids + 100, False, {"samples": samples})


def mapping(length: int = LENGTH) -> Floats:
    """(length, classes)"""
    return np.random.default_rng(3).normal(size=(length, 3)).astype(np.float32)
