"""int8 weights of layers whose activations are floats, in a file that was converted with float
ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from edgedistill.runtimes import Array, Floats
    from edgedistill.runtimes.program import StoredWeight
    from edgedistill.runtimes.tflite.file import File

_LAYERS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
"""On which axis of its weight an operator's output channels lie."""
_HYBRID = 12
"""Version of a FULLY_CONNECTED with float activations and int8 weights of several scales."""
_BY_CHANNEL = 5
"""Version of a DEQUANTIZE of several scales."""


def store_weights(file: File, weights: Sequence[StoredWeight], dynamic: bool) -> None:
    """Store the weights that a file has as floats as int8: behind a DEQUANTIZE, which the runtime
    runs once, or, where `dynamic`, read by linear layers as they are.

    Raises ValueError: one is not in the file, to the bit, or read by what is no layer.
    """
    places = _places(file)
    for weight in weights:
        found = [
            (index, axis, steps)
            for axis, steps in _layouts(weight.steps)
            for index in places.get(_key(_real(steps, weight.scales, axis)), ())
            if all(_axis(file, each, index) == axis for each in file.consumers(index))
        ]
        if not found:
            raise ValueError(f"the converter changed the weight of {weight.name}")
        for index, axis, steps in found:
            _store(file, index, _packed(file, steps, weight.scales, axis), dynamic)


def _places(file: File) -> dict[str, list[int]]:
    """The stored float weights by their values: tensors that layers read."""
    found: dict[str, list[int]] = {}
    layers = (each for each in file.operators if file.kind(each) in _LAYERS)
    for index in dict.fromkeys(int(each.inputs[1]) for each in layers):
        held = file.constant(index)
        if held is not None and held.dtype == np.float32:
            found.setdefault(_key(held), []).append(index)
    return found


def _layouts(steps: Array) -> list[tuple[int, Array]]:
    """A weight's integers as operators may have them, and where the output channels lie then:
    (channels, inputs), and of a convolution (channels, height, width, inputs)."""
    if steps.ndim == 2:
        return [(0, steps)]
    if steps.ndim == 3:
        steps = steps[:, :, None]
    return [(0, steps.transpose(0, 2, 3, 1)), (3, steps.transpose(1, 2, 3, 0))]


def _real(steps: Array, scales: Floats, axis: int) -> Floats:
    columns = [1] * steps.ndim
    columns[axis] = -1
    return steps.astype(np.float32) * scales.reshape(columns)


def _key(values: Array) -> str:
    """Of the bytes alone: axes of length one may lie anywhere."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _axis(file: File, operator: Any, index: int) -> int | None:
    """The channels' axis of a weight, where an operator reads it as that alone."""
    if [place for place, each in enumerate(operator.inputs) if each == index] != [1]:
        return None
    return _LAYERS.get(file.kind(operator))


def _packed(file: File, steps: Array, scales: Floats, axis: int) -> int:
    """A stored int8 tensor; returns its number."""
    index = file.add_constant(steps, None)
    scheme = schema.QuantizationParametersT()
    scheme.scale, scheme.zeroPoint = scales, np.zeros(len(scales), np.int64)
    scheme.quantizedDimension = axis
    file.tensor(index).type, file.tensor(index).quantization = schema.TensorType.INT8, scheme
    return index


def _store(file: File, index: int, packed: int, dynamic: bool) -> None:
    """Let what reads the float weight `index` read the int8 one `packed`."""
    file.tensor(packed).shape = file.tensor(index).shape
    layers = file.consumers(index)
    if dynamic and all(file.kind(each) == "FULLY_CONNECTED" for each in layers):
        file.replace_uses(index, packed)
        for each in layers:
            file.raise_version(each, _HYBRID)
        return
    unpacked = file.add_tensor(tuple(file.tensor(index).shape))
    file.replace_uses(index, unpacked)
    unpack = file.new_operator("DEQUANTIZE", [packed], [unpacked])
    file.raise_version(unpack, _BY_CHANNEL)
    file.operators.insert(0, unpack)
