"""Take transposes out of a .tflite file by computing what lies behind them in NHWC.

The converter turns convolutions to NHWC and puts a TRANSPOSE where an operator that it does not
turn (a zero-padded shortcut, a mean, a flatten) reads or feeds one. Each such TRANSPOSE is moved
behind its reader, whose axes are renamed, until it meets its inverse.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from edgedistill.errors import UserError
from edgedistill.runtimes.tflite_file import File

_ANY_LAYOUT = {
    "QUANTIZE", "DEQUANTIZE", "RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU",
    "ABS", "EXP", "NEG", "RSQRT", "SQRT", "ELU", "GELU", "CAST",
}  # fmt: skip
_PAIRED = {"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM"}
_REDUCED = {"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"}
_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def remove_transposes(file: File) -> None:
    """Raises UserError: a stretch of the graph is still laid out NCHW between transposes."""
    _split_shared(file)
    while any(_step(file, operator) for operator in _transposes(file)):
        _split_shared(file)
    _merge_slices(file)
    left = {_permutation(file, operator) for operator in _transposes(file)}
    if {_TO_NCHW, _TO_NHWC} <= left:
        kinds = sorted(
            {
                file.kind(reader)
                for operator in _transposes(file)
                for reader in file.consumers(operator.outputs[0])
                if _permutation(file, operator) == _TO_NCHW
            }
        )
        raise UserError(
            f"litert: transposes are left around {', '.join(kinds)}, which could be computed NHWC",
            "replace that operator in the student, or leave `litert` out of the target's runtimes",
        )


def _transposes(file: File) -> list[Any]:
    return [operator for operator in file.operators if file.kind(operator) == "TRANSPOSE"]


def _permutation(file: File, transpose: Any) -> tuple[int, ...]:
    order = file.constant(transpose.inputs[1])
    return () if order is None else tuple(int(axis) for axis in order)


def _split_shared(file: File) -> None:
    """Give every reader of a transposed tensor a TRANSPOSE of its own."""
    for transpose in _transposes(file):
        output = transpose.outputs[0]
        for reader in file.consumers(output)[1:]:
            twin = copy.copy(transpose)
            twin.outputs = [file.add_tensor(tuple(file.tensor(output).shape), output)]
            reader.inputs = [twin.outputs[0] if i == output else i for i in reader.inputs]
            file.operators.insert(file.operators.index(transpose), twin)


def _step(file: File, transpose: Any) -> bool:
    """Move or drop one TRANSPOSE. Says whether anything changed."""
    order, output = _permutation(file, transpose), transpose.outputs[0]
    readers = file.consumers(output)
    if not order or output in file.graph.outputs or not readers:
        return False
    if order == tuple(range(len(order))):
        file.operators.remove(transpose)
        file.replace_uses(output, transpose.inputs[0])
        return True
    reader = readers[0]
    kind = file.kind(reader)
    if kind == "TRANSPOSE":
        return _compose(file, transpose, reader)
    if kind == "RESHAPE":
        return _into_reshape(file, transpose, reader) or _into_weights(file, transpose, reader)
    if kind in _ANY_LAYOUT:
        return _sink(file, transpose, reader, order)
    if kind == "PAD":
        return _through_pad(file, transpose, reader, order)
    if kind == "STRIDED_SLICE":
        return _through_slice(file, transpose, reader, order)
    if kind in _REDUCED:
        return _through_reduction(file, transpose, reader, order)
    if kind in _PAIRED:
        return _through_pair(file, transpose, reader, order)
    if kind == "CONCATENATION":
        return _through_concatenation(file, transpose, reader, order)
    return False


def _compose(file: File, first: Any, second: Any) -> bool:
    one, two = _permutation(file, first), _permutation(file, second)
    if not two:
        return False
    both = np.array([one[axis] for axis in two], np.int32)
    second.inputs = [first.inputs[0], file.add_constant(both, second.inputs[1])]
    file.operators.remove(first)
    return True


def _sink(file: File, transpose: Any, reader: Any, order: tuple[int, ...]) -> bool:
    """Let `reader` read what `transpose` read, and transpose what it gives instead."""
    old = reader.outputs[0]
    shape = [0] * len(order)
    for place, axis in enumerate(order):
        shape[axis] = int(file.tensor(old).shape[place])
    new = file.add_tensor(tuple(shape), old)
    source, output = transpose.inputs[0], transpose.outputs[0]
    reader.inputs = [source if index == output else index for index in reader.inputs]
    reader.outputs = [new]
    permutation = file.add_constant(np.array(order, np.int32), transpose.inputs[1])
    after = file.new_operator("TRANSPOSE", [new, permutation], [old])
    file.operators.remove(transpose)
    file.operators.insert(file.operators.index(reader) + 1, after)
    return True


def _through_pad(file: File, transpose: Any, pad: Any, order: tuple[int, ...]) -> bool:
    amounts = file.constant(pad.inputs[1])
    if amounts is None:
        return False
    turned = np.zeros_like(amounts)
    turned[list(order)] = amounts
    pad.inputs[1] = file.add_constant(turned, pad.inputs[1])
    return _sink(file, transpose, pad, order)


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
    """Where the other side is transposed alike, a scalar, or a constant."""
    other = next((i for i in pair.inputs if i != transpose.outputs[0]), None)
    if other is None:
        return _sink(file, transpose, pair, order)
    twin, value = file.producer(other), file.constant(other)
    if twin is not None and file.kind(twin) == "TRANSPOSE" and _permutation(file, twin) == order:
        file.operators.remove(twin)
        pair.inputs = [twin.inputs[0] if i == other else i for i in pair.inputs]
        return _sink(file, transpose, pair, order)
    if value is not None and (value.size == 1 or value.ndim == len(order)):
        if value.size > 1:
            turned = value.transpose(np.argsort(order))
            pair.inputs = [
                file.add_constant(turned, other) if i == other else i for i in pair.inputs
            ]
        return _sink(file, transpose, pair, order)
    return False


def _through_concatenation(file: File, transpose: Any, join: Any, order: tuple[int, ...]) -> bool:
    twins = [file.producer(index) for index in join.inputs]
    if not all(
        twin is not None and file.kind(twin) == "TRANSPOSE" and _permutation(file, twin) == order
        for twin in twins
    ):
        return False
    axis = join.builtinOptions.axis % len(order)
    join.builtinOptions.axis = order[axis]
    for twin in twins:
        if twin is not transpose:
            file.operators.remove(twin)
            new = twin.inputs[0]  # type: ignore[union-attr]
            join.inputs = [new if i == twin.outputs[0] else i for i in join.inputs]  # type: ignore[union-attr]
    return _sink(file, transpose, join, order)


def _into_reshape(file: File, transpose: Any, reshape: Any) -> bool:
    """A TRANSPOSE that moves only axes of size 1 leaves the values in place."""
    shape = file.tensor(transpose.inputs[0]).shape
    moved = [axis for axis in _permutation(file, transpose) if shape[axis] != 1]
    if moved != sorted(moved):
        return False
    reshape.inputs[0] = transpose.inputs[0]
    file.operators.remove(transpose)
    return True


def _into_weights(file: File, transpose: Any, reshape: Any) -> bool:
    """Flattened channels-last instead of channels-first: the linear layer's columns move."""
    readers = file.consumers(reshape.outputs[0])
    shape = [int(size) for size in file.tensor(transpose.outputs[0]).shape]
    flat = [int(size) for size in file.tensor(reshape.outputs[0]).shape]
    if flat != [shape[0], int(np.prod(shape[1:]))] or len(readers) != 1:
        return False
    if file.kind(readers[0]) != "FULLY_CONNECTED" or _permutation(file, transpose)[0] != 0:
        return False
    weights = file.constant(readers[0].inputs[1])
    if weights is None:
        return False
    back = np.argsort(_permutation(file, transpose))
    turned = weights.reshape(len(weights), *shape[1:]).transpose(back).reshape(weights.shape)
    readers[0].inputs[1] = file.add_constant(turned, readers[0].inputs[1])
    reshape.inputs[0] = transpose.inputs[0]
    file.operators.remove(transpose)
    return True


def _merge_slices(file: File) -> None:
    """One STRIDED_SLICE for two in a row that step along different axes from the first value."""
    for second in [each for each in file.operators if file.kind(each) == "STRIDED_SLICE"]:
        first = file.producer(second.inputs[0])
        if first is None or file.kind(first) != "STRIDED_SLICE":
            continue
        plans = [_slice_plan(file, each) for each in (first, second)]
        if len(file.consumers(first.outputs[0])) != 1 or None in plans:
            continue
        (ends, strides), (later_ends, later_strides) = plans  # type: ignore[misc]
        still = later_strides == 1
        if not ((strides == 1) | still).all():
            continue
        for place, value in ((2, np.where(still, ends, later_ends)), (3, strides * later_strides)):
            second.inputs[place] = file.add_constant(value.astype(np.int32), second.inputs[place])
        second.inputs[0] = first.inputs[0]
        file.operators.remove(first)


def _slice_plan(file: File, operator: Any) -> tuple[Any, Any] | None:
    """(ends, strides) of a slice that begins at the first value and reads to the last."""
    begins, ends, strides = (file.constant(index) for index in operator.inputs[1:4])
    if begins is None or ends is None or strides is None:
        return None
    options = operator.builtinOptions
    masks = (options.beginMask, options.endMask, options.ellipsisMask, options.newAxisMask,
             options.shrinkAxisMask)  # fmt: skip
    shape = np.array(file.tensor(operator.inputs[0]).shape)
    whole = not begins.any() and (ends >= shape).all() and (strides > 0).all()
    return (shape, strides) if whole and not any(masks) else None
