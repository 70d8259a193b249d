"""A batch to a teacher, and a linear classifier to put into files of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.distill.teachers import Teacher, TeacherBatch, TeacherContext
from edgedistill.signature import image_inputs

CLASSES = ("bird", "cat", "ship")
SIZE = 8
Floats = NDArray[np.float32]


def context(channels: int = 3, size: int = SIZE, **changes: Any) -> TeacherContext:
    settings: dict[str, Any] = {
        "classes": CLASSES,
        "inputs": image_inputs(channels, size, size),
        **changes,
    }
    return TeacherContext(Path(), **settings)


def batch(count: int = 5, channels: int = 3, size: int = SIZE) -> TeacherBatch:
    """Noise; sample 100 + n of the user's is image n."""
    noise = np.random.default_rng(count).integers(0, 256, (count, channels, size, size))
    ids = np.arange(count)
    return TeacherBatch(ids, ids + 100, False, {"pixels": (noise / 255).astype(np.float32)})


def answers(teacher: Teacher, asked: TeacherBatch) -> Floats:
    """(batch, classes), each place answered once."""
    parts = list(teacher.predict(asked))
    at = np.concatenate([part.at for part in parts])
    assert sorted(at) == list(range(len(asked.ids)))
    logits = np.concatenate([part.logits for part in parts])
    assert logits.dtype == np.float32
    return logits[np.argsort(at)]


def weights(classes: int = 3) -> Floats:
    """(pixels of an image, classes)"""
    drawn = np.random.default_rng(7).normal(size=(3 * SIZE * SIZE, classes))
    return drawn.astype(np.float32)


def linear(pixels: Floats, layout: str = "NCHW") -> Floats:
    """What a file that holds `weights()` answers."""
    images = pixels if layout == "NCHW" else pixels.transpose(0, 2, 3, 1)
    found: Floats = images.reshape(len(images), -1) @ weights()
    return found


def softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = raised / raised.sum(axis=1, keepdims=True)
    return probabilities
