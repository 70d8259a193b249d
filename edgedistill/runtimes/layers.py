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
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.native import to_native, to_real

if TYPE_CHECKING:
    from edgedistill.program import Program
    from edgedistill.runtimes import Array
    from edgedistill.runtimes.program import Layer

    Compute = Callable[
        [Path, list[Array], dict[str, Array], list[Layer], bool],
        tuple[dict[str, Array], list[Array]],
    ]
    """(path, native inputs, the graph's integers by layer name, layers, optimize) to what the file
    computes for those of the layers that it has, NCHW, each from the graph's integers before it;
    and to the native outputs. `optimize` as for `Runtime.load`."""

_SHARE_OF_RANGE = 1e-3


@dataclass(frozen=True)
class Given:
    """What the torch graph computed for some samples."""

    layers: list[Layer]
    inputs: tuple[Array, ...]
    """Each (samples, ...), pictures NCHW in 0..1."""
    integers: dict[str, Array]
    """int8 by layer name, laid out NCHW, as `program.record` gives them."""
    outputs: tuple[Array, ...]
    steps: tuple[float | None, ...]
    """The outputs' scales; None where one is float."""

    @property
    def by_sample(self) -> list[Layer]:
        """The layers that have a row of values for each sample. What attention lays out in another
        order cannot be given sample by sample, and is judged within the layer that reads it."""
        samples = len(self.inputs[0])
        return [
            layer
            for layer in self.layers
            if self.integers[layer.name].shape == (samples, *layer.shape)
        ]


def given_of(program: Program, *inputs: Array) -> Given:
    """What the graph of a quantized program computes for `inputs`."""
    import torch

    from edgedistill.program import answers, graph_of
    from edgedistill.runtimes.program import layers, output_scales, record

    with torch.no_grad():
        outputs = answers(graph_of(program)(*map(torch.from_numpy, inputs)))
    return Given(
        layers(program), inputs, record(program, *inputs),
        tuple(each.numpy() for each in outputs), tuple(output_scales(program)),
    )  # fmt: skip


def compare_alone(runtime: str, path: Path, given: Given, optimize: bool) -> list[LayerParity]:
    """A row for each layer that the file has, in the program's order, then one for each output."""
    module = importlib.import_module(RUNTIMES[runtime].in_layers)
    compute: Compute = module.compute
    signature = RUNTIMES[runtime].load(path).signature
    pairs = zip(given.inputs, signature.inputs, strict=True)
    native = [to_native(values, spec) for values, spec in pairs]
    computed, outputs = compute(path, native, given.integers, given.by_sample, optimize)
    for layer in given.layers:
        if layer.input is not None and signature.inputs[layer.input].scale is not None:
            nhwc = signature.inputs[layer.input].layout == "NHWC"
            values = native[layer.input]
            computed[layer.name] = values.transpose(0, 3, 1, 2) if nhwc else values
    rows = [
        _alone(layer.label, computed[layer.name], given.integers[layer.name], 1.0)
        for layer in given.layers
        if layer.name in computed
    ]
    ends = zip(signature.outputs, outputs, given.outputs, given.steps, strict=True)
    for spec, values, reference, scale in ends:
        # Where an output is float, a thousandth of its range counts as a step.
        step = scale or _SHARE_OF_RANGE * float(np.ptp(reference)) or 1.0
        rows.append(_alone(spec.name, to_real(values, spec), reference, step))
    return rows


def _alone(name: str, values: Array, reference: Array, step: float) -> LayerParity:
    apart = np.abs(values.astype(np.float64) - reference.astype(np.float64)) / step
    return LayerParity(name, float(np.rint(apart.max())), float((apart < 0.5).mean()))
