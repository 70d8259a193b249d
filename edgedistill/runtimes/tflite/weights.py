"""int8 weights of layers whose activations are floats, in a file that was converted with float
ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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


_EXACT = 1e-6
"""Of a channel's largest value: what products in another order may differ by."""


def store_weights(file: File, weights: Sequence[StoredWeight], dynamic: bool) -> None:
    """Store the weights that a file has as floats as int8: behind a DEQUANTIZE, which the runtime
    runs once, or, where `dynamic`, read by linear layers as they are.

    The converter takes factors behind a layer into its weight: these are in the scales then.
    Raises ValueError: a weight is not in the file, or read by what is no layer.
    """
    waiting = _float_weights(file)
    later = [each for each in weights if not _store_all(file, each, waiting, dynamic, _is_same)]
    for each in later:
        if not _store_all(file, each, waiting, dynamic, _fitted):
            raise ValueError(f"the converter changed the weight of {each.name}")


_Match = Callable[["Array", "Floats", "Array"], "Floats | None"]
"""Of a weight's integers (channels, others), its scales (channels,), and values (channels, others)
that a file has: the scales with which they are the same; None where they are not."""


def _store_all(
    file: File, weight: StoredWeight, waiting: dict[int, Array], dynamic: bool, match: _Match
) -> bool:
    """Store a weight wherever the file has it; whether it has."""
    found = False
    for index, held in list(waiting.items()):
        for axis, steps in _layouts(weight.steps):
            if steps.size != held.size or _axis(file, index) != axis:
                continue
            shape = tuple(file.tensor(index).shape)
            scales = match(_rows(steps, axis), weight.scales, _rows(held.reshape(shape), axis))
            if scales is not None:
                _store(file, index, _packed(file, steps.reshape(shape), scales, axis), dynamic)
                del waiting[index]
                found = True
                break
    return found


def _float_weights(file: File) -> dict[int, Array]:
    """What the file stores as float32 and layers read, by number."""
    layers = (each for each in file.operators if file.kind(each) in _LAYERS)
    indices = dict.fromkeys(int(each.inputs[1]) for each in layers)
    held = {index: file.constant(index) for index in indices}
    return {
        index: value
        for index, value in held.items()
        if value is not None and value.dtype == np.float32
    }


def _layouts(steps: Array) -> list[tuple[int, Array]]:
    """A weight's integers as operators may have them, and where the output channels lie then:
    (channels, inputs), and of a convolution (channels, height, width, inputs)."""
    if steps.ndim == 2:
        return [(0, steps)]
    if steps.ndim == 3:
        steps = steps[:, :, None]
    return [(0, steps.transpose(0, 2, 3, 1)), (3, steps.transpose(1, 2, 3, 0))]


def _rows(values: Array, axis: int) -> Array:
    """(channels, others)"""
    moved = np.moveaxis(values, axis, 0)
    return moved.reshape(len(moved), -1)


def _is_same(steps: Array, scales: Floats, held: Array) -> Floats | None:
    if len(steps) != len(held):
        return None
    few = slice(0, 2)
    for rows in (few, slice(None)):
        if not np.array_equal(steps[rows].astype(np.float32) * scales[rows, None], held[rows]):
            return None
    return scales


def _fitted(steps: Array, scales: Floats, held: Array) -> Floats | None:
    if len(steps) != len(held):
        return None
    places = np.abs(steps.astype(np.int16)).argmax(1)[:, None]
    largest = np.take_along_axis(steps, places, 1).astype(np.float32)
    found = np.take_along_axis(held, places, 1) / np.where(largest == 0, 1, largest)
    found = np.where(largest == 0, scales[:, None], found).astype(np.float32)
    apart = np.abs(steps.astype(np.float32) * found - held).max(1)
    close = apart <= _EXACT * np.abs(held).max(1)
    return found[:, 0] if close.all() and (found > 0).all() else None


def _axis(file: File, index: int) -> int | None:
    """The channels' axis of a stored tensor; None where not all that read it are layers of one
    kind, of which it is the weight."""
    found = set()
    for operator in file.consumers(index):
        weight = [place for place, each in enumerate(operator.inputs) if each == index] == [1]
        found.add(_LAYERS.get(file.kind(operator)) if weight else None)
    return found.pop() if len(found) == 1 else None


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
