"""Take transposes out of a .tflite file by computing what lies behind them in NHWC.

The converter turns convolutions to NHWC and puts a TRANSPOSE where an operator that it does not
turn (a zero-padded shortcut, a mean, a flatten) reads or feeds one. Each such TRANSPOSE is moved
behind its reader, whose axes are renamed, until it meets its inverse.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from edgedistill.runtimes.tflite.chains import shorten_chains
from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.lift import move_before_floats
from edgedistill.runtimes.tflite.reshape import through_reshape
from edgedistill.runtimes.tflite.reshapes import drop_needless_reshapes
from edgedistill.runtimes.tflite.transposes import (
    flatten_needless,
    integers,
    inverse,
    keeps_memory,
    merge_slices,
    merge_twins,
    moved_bytes,
    permutation,
    transposes,
)

_ANY_LAYOUT = {
    "QUANTIZE", "DEQUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "HARD_SWISH",
    "LEAKY_RELU", "ABS", "EXP", "LOG", "NEG", "RSQRT", "SQRT", "SQUARE", "SIN", "COS", "FLOOR",
    "CEIL", "ROUND", "SIGN", "ELU", "GELU", "CAST", "LOGICAL_NOT",
}  # fmt: skip
_PAIRED = {
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "PRELU",
    "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL", "LOGICAL_AND",
    "LOGICAL_OR", "SELECT_V2",
}  # fmt: skip
_REDUCED = {"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"}
_BY_AXIS = {
    "PAD": (1,), "PADV2": (1,), "MIRROR_PAD": (1,), "SLICE": (1, 2), "TILE": (1,),
    "BROADCAST_TO": (1,),
}  # fmt: skip
"""Inputs that hold a value for each axis."""
_ON_THE_LAST = {"SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION"}


def remove_transposes(file: File) -> None:
    """What is left stays right: it only costs (`transposes_left`). Where moving transposes would
    make them cost more than they did, the file is left as it was."""
    before = copy.copy(file.graph)
    before.tensors = list(file.graph.tensors)
    before.operators = [copy.deepcopy(operator) for operator in file.operators]
    cost = moved_bytes(file)
    _split_shared(file)
    while any(_step(file, operator) for operator in transposes(file)):
        _split_shared(file)
    shorten_chains(file)
    move_before_floats(file)
    merge_twins(file)
    flatten_needless(file)
    drop_needless_reshapes(file)
    merge_slices(file)
    if moved_bytes(file) > cost:
        file.graph.tensors, file.graph.operators = before.tensors, before.operators
        file.graph.outputs = before.outputs


def _split_shared(file: File) -> None:
    """Give every reader of a transposed tensor a TRANSPOSE of its own."""
    for transpose in transposes(file):
        output = transpose.outputs[0]
        for reader in file.consumers(output)[1:]:
            twin = copy.copy(transpose)
            twin.outputs = [file.add_tensor(tuple(file.tensor(output).shape), output)]
            reader.inputs = [twin.outputs[0] if i == output else i for i in reader.inputs]
            file.operators.insert(file.operators.index(transpose), twin)


def _step(file: File, transpose: Any) -> bool:
    """Move or drop one TRANSPOSE. Says whether anything changed."""
    order, output = permutation(file, transpose), transpose.outputs[0]
    readers = file.consumers(output)
    if not order or output in file.graph.outputs or not readers:
        return False
    if order == tuple(range(len(order))):
        file.operators.remove(transpose)
        file.replace_uses(output, transpose.inputs[0])
        return True
    return _through(file, transpose, readers[0], order)


def _through(file: File, transpose: Any, reader: Any, order: tuple[int, ...]) -> bool:
    kind = file.kind(reader)
    if kind == "TRANSPOSE":
        return _compose(file, transpose, reader)
    if kind == "RESHAPE":
        return through_reshape(file, transpose, reader, order) or _into_weights(
            file, transpose, reader
        )
    if kind in _ANY_LAYOUT or (kind in _ON_THE_LAST and order[-1] == len(order) - 1):
        return _sink(file, transpose, reader, order)
    if kind in _BY_AXIS:
        return _through_values_by_axis(file, transpose, reader, order)
    by_kind = {
        "STRIDED_SLICE": _through_slice,
        "CONCATENATION": _through_concatenation,
        "SPLIT": _through_split,
        "GATHER": _through_gather,
        **dict.fromkeys(_REDUCED, _through_reduction),
        **dict.fromkeys(_PAIRED, _through_pair),
    }
    return kind in by_kind and by_kind[kind](file, transpose, reader, order)


def _compose(file: File, first: Any, second: Any) -> bool:
    one, two = permutation(file, first), permutation(file, second)
    if not two:
        return False
    both = np.array([one[axis] for axis in two], np.int32)
    second.inputs = [first.inputs[0], file.add_constant(both, second.inputs[1])]
    file.operators.remove(first)
    return True


def _sink(file: File, transpose: Any, reader: Any, order: tuple[int, ...]) -> bool:
    """Let `reader` read what `transpose` read, and transpose what it gives instead."""
    source, output = transpose.inputs[0], transpose.outputs[0]
    reader.inputs = [source if index == output else index for index in reader.inputs]
    file.operators.remove(transpose)
    place = file.operators.index(reader) + 1
    given = list(reader.outputs)
    for port, old in enumerate(given):
        shape = [0] * len(order)
        for axis_after, axis in enumerate(order):
            shape[axis] = int(file.tensor(old).shape[axis_after])
        given[port] = file.add_tensor(tuple(shape), old)
        turn = file.add_constant(np.array(order, np.int32), transpose.inputs[1])
        after = file.new_operator("TRANSPOSE", [given[port], turn], [old])
        file.operators.insert(place, after)
    reader.outputs = given
    return True


def _through_values_by_axis(
    file: File, transpose: Any, reader: Any, order: tuple[int, ...]
) -> bool:
    places = _BY_AXIS[file.kind(reader)]
    values = [file.constant(reader.inputs[place]) for place in places]
    if any(value is None or len(value) != len(order) for value in values):
        return False
    for place, value in zip(places, values, strict=True):
        turned = np.zeros_like(value)
        turned[list(order)] = value
        reader.inputs[place] = file.add_constant(turned, reader.inputs[place])
    return _sink(file, transpose, reader, order)


def _through_slice(file: File, transpose: Any, cut: Any, order: tuple[int, ...]) -> bool:
    options = cut.builtinOptions
    plain = not (options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask)
    values = [file.constant(index) for index in cut.inputs[1:4]]
    if not plain or any(value is None for value in values):
        return False
    for place, value in enumerate(values, 1):
        turned = np.zeros_like(value)
        turned[list(order)] = value
        cut.inputs[place] = file.add_constant(turned, cut.inputs[place])
    for mask in ("beginMask", "endMask"):
        old = getattr(options, mask)
        bits = (1 << axis for place, axis in enumerate(order) if old >> place & 1)
        setattr(options, mask, sum(bits))
    return _sink(file, transpose, cut, order)


def _through_reduction(file: File, transpose: Any, reduce: Any, order: tuple[int, ...]) -> bool:
    axes = file.constant(reduce.inputs[1])
    if axes is None:
        return False
    turned = np.array(sorted(order[axis] for axis in axes.reshape(-1)), np.int32)
    reduce.inputs[1] = file.add_constant(turned, reduce.inputs[1])
    if reduce.builtinOptions.keepDims:
        return _sink(file, transpose, reduce, order)
    kept = [axis for axis in order if axis not in turned]
    places = sorted(kept)
    return _sink(file, transpose, reduce, tuple(places.index(axis) for axis in kept))


def _through_pair(file: File, transpose: Any, pair: Any, order: tuple[int, ...]) -> bool:
    """Where each other side is transposed alike, a constant, or has one axis alone that is not of
    size 1."""
    rank = len(order)
    others = {int(index) for index in pair.inputs} - {int(transpose.outputs[0])}
    if len(file.tensor(pair.outputs[0]).shape) != rank:
        return False
    if not all(_can_turn(file, index, order) for index in others):
        return False
    for index in others:
        turned = _turned(file, index, order, pair)
        pair.inputs = [turned if each == index else each for each in pair.inputs]
    return _sink(file, transpose, pair, order)


def _can_turn(file: File, index: int, order: tuple[int, ...]) -> bool:
    """Whether `index` transposed back by `order` costs nothing at run time."""
    if file.constant(index) is not None:
        scales = getattr(file.tensor(index).quantization, "scale", None)
        return len(file.tensor(index).shape) <= len(order) and (scales is None or len(scales) < 2)
    shape = [int(size) for size in file.tensor(index).shape]
    if len(shape) != len(order):
        return int(np.prod(shape)) == 1 and len(shape) < len(order)
    return _undone(file, index, order) or keeps_memory(shape, inverse(order))


def _undone(file: File, index: int, order: tuple[int, ...]) -> bool:
    twin = file.producer(index)
    found = twin is not None and file.kind(twin) == "TRANSPOSE"
    return found and index not in file.graph.outputs and permutation(file, twin) == order


def _turned(file: File, index: int, order: tuple[int, ...], reader: Any) -> int:
    """`index` transposed back by `order`: see `_can_turn`."""
    value, rank = file.constant(index), len(order)
    if value is not None:
        if value.size == 1:
            return index
        whole = value.reshape([1] * (rank - value.ndim) + list(value.shape))
        return file.add_constant(whole.transpose(inverse(order)), index)
    shape = [int(size) for size in file.tensor(index).shape]
    if len(shape) != rank:
        return index
    twin = file.producer(index)
    if twin is not None and _undone(file, index, order):
        file.operators.remove(twin)
        return int(twin.inputs[0])
    turned = [shape[axis] for axis in inverse(order)]
    new = file.add_tensor(tuple(turned), index)
    sizes = integers(file, turned)
    file.operators.insert(
        file.operators.index(reader), file.new_operator("RESHAPE", [index, sizes], [new])
    )
    return new


def _through_concatenation(file: File, transpose: Any, join: Any, order: tuple[int, ...]) -> bool:
    others = {int(index) for index in join.inputs} - {int(transpose.outputs[0])}
    if not all(_can_turn(file, index, order) for index in others):
        return False
    for index in others:
        turned = _turned(file, index, order, join)
        join.inputs = [turned if each == index else each for each in join.inputs]
    join.builtinOptions.axis = order[join.builtinOptions.axis % len(order)]
    return _sink(file, transpose, join, order)


def _through_split(file: File, transpose: Any, split: Any, order: tuple[int, ...]) -> bool:
    axis = file.constant(split.inputs[0])
    if axis is None:
        return False
    turned = np.array(order[int(axis.reshape(-1)[0]) % len(order)], np.int32).reshape(axis.shape)
    split.inputs[0] = file.add_constant(turned, split.inputs[0])
    return _sink(file, transpose, split, order)


def _through_gather(file: File, transpose: Any, gather: Any, order: tuple[int, ...]) -> bool:
    """Where a list of indices takes from one axis, which stays."""
    options = gather.builtinOptions
    if gather.inputs[0] != transpose.outputs[0] or options.batchDims:
        return False
    if len(file.tensor(gather.inputs[1]).shape) != 1:
        return False
    options.axis = order[options.axis % len(order)]
    return _sink(file, transpose, gather, order)


def _into_weights(file: File, transpose: Any, reshape: Any) -> bool:
    """Flattened channels-last instead of channels-first: the linear layer's columns move."""
    readers = file.consumers(reshape.outputs[0])
    shape = [int(size) for size in file.tensor(transpose.outputs[0]).shape]
    flat = [int(size) for size in file.tensor(reshape.outputs[0]).shape]
    if flat != [shape[0], int(np.prod(shape[1:]))] or len(readers) != 1:
        return False
    if file.kind(readers[0]) != "FULLY_CONNECTED" or permutation(file, transpose)[0] != 0:
        return False
    weights = file.constant(readers[0].inputs[1])
    if weights is None:
        return False
    back = np.argsort(permutation(file, transpose))
    turned = weights.reshape(len(weights), *shape[1:]).transpose(back).reshape(weights.shape)
    readers[0].inputs[1] = file.add_constant(turned, readers[0].inputs[1])
    reshape.inputs[0] = transpose.inputs[0]
    file.operators.remove(transpose)
    return True
