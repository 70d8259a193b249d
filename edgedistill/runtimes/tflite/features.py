"""What a TFLite file sees before it decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgedistill.runtimes.last_layer import Watch, nearest

if TYPE_CHECKING:
    from edgedistill.runtimes import Array


def watch(path: Path) -> Watch | None:
    """What enters the last layer with weights; None where that reads the pixels themselves, or
    there is none."""
    from edgedistill.runtimes.litert import interpreter
    from edgedistill.runtimes.tflite.file import File

    file = File.read(path)
    weighted = ("FULLY_CONNECTED", "CONV_2D")
    last = nearest(
        [file.producer(file.graph.outputs[0])],
        lambda each: file.kind(each) in weighted,
        lambda each: [file.producer(index) for index in each.inputs],
        id,
    )
    if last is None or last.inputs[0] in file.graph.inputs:
        return None
    file.graph.outputs = [file.graph.outputs[0], last.inputs[0]]
    runner = interpreter(file.pack(), 1, optimize=True)
    pixels, (logits, features) = runner.get_input_details()[0], runner.get_output_details()
    scale, zero = features["quantization"] if features["dtype"] != np.float32 else (1.0, 0)

    def run(native: Array) -> tuple[Array, Array]:
        runner.set_tensor(pixels["index"], native)
        runner.invoke()
        found = scale * (runner.get_tensor(features["index"]).astype(np.float32) - zero)
        places = found.reshape(-1, found.shape[-1])
        return runner.get_tensor(logits["index"]), places.mean(axis=0, keepdims=True)

    return run
