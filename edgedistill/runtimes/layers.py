"""Each layer of an int8 file on its own, given the torch graph's integers.

Rounding adds up with depth: a deep file may be many steps off with every layer right. Cut at every
layer, and given at each cut what the graph computed, a right file is at most a step off anywhere,
whatever its depth. Its ends are held against the graph too: how it reads pixels, and what it makes
of the last integers. Where all of these are right, so is the file.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgedistill.records import LayerParity
from edgedistill.runtimes import OUTPUT, RUNTIMES

if TYPE_CHECKING:
    from edgedistill.runtimes import Array, Floats
    from edgedistill.runtimes.program import Layer

    Compute = Callable[
        [Path, Array, dict[str, Array], list[Layer], bool], tuple[dict[str, Array], Array]
    ]
    """(path, native input, the graph's integers by layer name, layers, optimize) to what the file
    computes for those of the layers that it has, NCHW, each from the graph's integers before it;
    and to the native output. `optimize` as for `Runtime.load`."""

MODULES = {
    "litert": "tflite.layers",
    "onnxruntime": "onnx.layers",
    "openvino": "openvino_ir.layers",
}
_SHARE_OF_RANGE = 1e-3


@dataclass(frozen=True)
class Given:
    """What the torch graph computed for some images."""

    layers: list[Layer]
    pixels: Floats
    """(images, channels, height, width), 0..1."""
    integers: dict[str, Array]
    """int8 by layer name, laid out NCHW, as `program.record` gives them."""
    logits: Floats
    step: float | None
    """The output's scale; None where it is float."""

    @property
    def by_image(self) -> list[Layer]:
        """The layers that have a row of values for each image. What attention lays out in another
        order cannot be given image by image, and is judged within the layer that reads it."""
        images = len(self.pixels)
        return [
            layer
            for layer in self.layers
            if self.integers[layer.name].shape == (images, *layer.shape)
        ]


def compare_alone(runtime: str, path: Path, given: Given, optimize: bool) -> list[LayerParity]:
    """A row for each layer that the file has, in the program's order, then one for its output."""
    module = importlib.import_module(f"edgedistill.runtimes.{MODULES[runtime]}")
    compute: Compute = module.compute
    loaded = RUNTIMES[runtime].load(path)
    native = loaded.encode(given.pixels)
    computed, outputs = compute(path, native, given.integers, given.by_image, optimize)
    if loaded.input.scale is not None:
        first = native.transpose(0, 3, 1, 2) if loaded.input.layout == "NHWC" else native
        computed[given.layers[0].name] = first
    rows = [
        _alone(layer.label, computed[layer.name], given.integers[layer.name], 1.0)
        for layer in given.layers
        if layer.name in computed
    ]
    # Where the output is float, a thousandth of its range counts as a step.
    step = given.step or _SHARE_OF_RANGE * float(np.ptp(given.logits)) or 1.0
    return [*rows, _alone(OUTPUT, loaded.decode(outputs), given.logits, step)]


def _alone(name: str, values: Array, reference: Array, step: float) -> LayerParity:
    apart = np.abs(values.astype(np.float64) - reference.astype(np.float64)) / step
    return LayerParity(name, float(np.rint(apart.max())), float((apart < 0.5).mean()))
