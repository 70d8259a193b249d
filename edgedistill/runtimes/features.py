"""What a model file sees in an image before it decides: the values that enter its last layer with
weights. Each runtime's own `features` makes a tensor of its file one more output of it, in memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.native import to_native, to_real

if TYPE_CHECKING:
    from edgedistill.runtimes import Floats
    from edgedistill.runtimes.last_layer import Watch

Both = Callable[["Floats"], tuple["Floats", "Floats"]]
"""From pixels (batch, channels, height, width) in 0..1 to logits (batch, classes) and features
(batch, dimensions), the mean over all places where a layer has several."""


def load(path: Path, runtime: str) -> Both | None:
    """None: the file has no layer with weights, or it reads the pixels themselves; or it takes more
    than one input; or its runtime shows nothing but its ends.

    Raises UserError as `Runtime.load` does.
    """
    opened = RUNTIMES[runtime].load(path)
    signature = opened.signature
    run = _watch(runtime, path) if len(signature.inputs) == 1 else None
    if run is None:
        return None
    (taken,), given = signature.inputs, signature.outputs[signature.answer]

    def both(pixels: Floats) -> tuple[Floats, Floats]:
        native = to_native(pixels, taken)
        size = taken.shape[0] or len(native)
        parts = [run(native[start : start + size]) for start in range(0, len(native), size)]
        logits, features = (np.concatenate(each) for each in zip(*parts, strict=True))
        return to_real(logits, given).astype(np.float32, copy=False), features.astype(np.float32)

    return both


def _watch(runtime: str, path: Path) -> Watch | None:
    module = RUNTIMES[runtime].in_features
    watched: Watch | None = importlib.import_module(module).watch(path) if module else None
    return watched
