"""The TRANSPOSEs of a .tflite file: what they are, what they cost, how those left are tidied."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistill.records import Transposes
from edgedistill.runtimes.tflite.file import File


def transposes(file: File) -> list[Any]:
    """The operators, in the order they run."""
    return [operator for operator in file.operators if file.kind(operator) == "TRANSPOSE"]


def permutation(file: File, transpose: Any) -> tuple[int, ...]:
    """For each axis of the result the one that it comes from; empty where it is not stored."""
    order = file.constant(transpose.inputs[1])
    return () if order is None else tuple(int(axis) for axis in order)


def moved_bytes(file: File) -> int:
    """What one inference copies only to reorder it."""
    return sum(file.size_in_bytes(transpose.outputs[0]) for transpose in transposes(file))


def transposes_left(file: File) -> Transposes:
    """{"transposes": count, "transposed_bytes": moved in one inference, "transposed_around": the
    kinds of operators that read or make what is transposed}."""
    found = transposes(file)
    makers = (file.producer(operator.inputs[0]) for operator in found)
    readers = (reader for each in found for reader in file.consumers(each.outputs[0]))
    kinds = {file.kind(each) for each in (*makers, *readers) if each is not None}
    return {
        "transposes": len(found),
        "transposed_bytes": moved_bytes(file),
        "transposed_around": sorted(kinds - {"TRANSPOSE"}),
    }


def integers(file: File, values: list[int]) -> int:
    """Store values as an int32 tensor (values,); returns its number."""
    new = file.add_constant(np.array(values, np.int32), None)
    file.tensor(new).type = schema.TensorType.INT32
    return new


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes this one."""
    return tuple(int(axis) for axis in np.argsort(order))


def keeps_memory(shape: list[int], order: tuple[int, ...]) -> bool:
    """Whether only axes of size 1 change places."""
    moved = [axis for axis in order if shape[axis] != 1]
    return moved == sorted(moved)


def merge_twins(file: File) -> None:
    """One TRANSPOSE for those that read the same and turn it alike."""
    made: dict[tuple[int, tuple[int, ...]], int] = {}
    for transpose in transposes(file):
        order = permutation(file, transpose)
        first = made.setdefault((int(transpose.inputs[0]), order), transpose.outputs[0])
        if order and first != transpose.outputs[0]:
            file.operators.remove(transpose)
            file.replace_uses(transpose.outputs[0], first)


def flatten_needless(file: File) -> None:
    """A RESHAPE, which copies nothing, for a TRANSPOSE that moves only axes of size 1."""
    for transpose in transposes(file):
        order, output = permutation(file, transpose), transpose.outputs[0]
        shape = [int(size) for size in file.tensor(transpose.inputs[0]).shape]
        if order and keeps_memory(shape, order):
            sizes = integers(file, [int(size) for size in file.tensor(output).shape])
            flat = file.new_operator("RESHAPE", [transpose.inputs[0], sizes], [output])
            file.operators[file.operators.index(transpose)] = flat


def merge_slices(file: File) -> None:
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
