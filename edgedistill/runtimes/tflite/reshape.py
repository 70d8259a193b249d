"""Move a TRANSPOSE behind the RESHAPE that reads it: whatever splits and merges whole axes, as a
channel shuffle, a pixel shuffle or a token sequence does, has a form for every order of axes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from edgedistill.runtimes.tflite.file import File

_Groups = list[tuple[list[int], list[int]]]


def through_reshape(file: File, transpose: Any, reshape: Any, order: tuple[int, ...]) -> bool:
    """Says whether the TRANSPOSE was moved or has become needless."""
    source = _shape(file, transpose.inputs[0])
    groups = _groups([source[axis] for axis in order], _shape(file, reshape.outputs[0]))
    if _stays_together(groups, order, source):
        _move(file, transpose, reshape, order, groups)
        return True
    if _images_with_mixed_channels(groups, order):
        outer = _split(file, transpose, order, groups)
        _move(file, transpose, reshape, outer, groups)
        return True
    return False


def _groups(before: list[int], after: list[int]) -> _Groups:
    """The smallest runs of axes with as many values before as after: (places before, sizes after).
    An axis of size 1 holds no place before, and one after is a run without places."""
    places = [place for place, size in enumerate(before) if size != 1]
    groups: _Groups = []
    rest = list(after)
    while rest:
        inside: list[int] = []
        sizes = [rest.pop(0)]
        while (count := int(np.prod([before[each] for each in inside]))) != np.prod(sizes):
            if count < np.prod(sizes):
                inside.append(places.pop(0))
            else:
                sizes.append(rest.pop(0))
        groups.append((inside, sizes))
    return groups


def _stays_together(groups: _Groups, order: tuple[int, ...], source: list[int]) -> bool:
    """Whether each run's axes follow each other in `source` as well."""
    memory = [axis for axis, size in enumerate(source) if size != 1]
    for places, _ in groups:
        spots = [memory.index(order[place]) for place in places]
        if spots != list(range(spots[0], spots[0] + len(spots))) if spots else False:
            return False
    return True


def _move(
    file: File, transpose: Any, reshape: Any, order: tuple[int, ...], groups: _Groups
) -> None:
    """RESHAPE what the TRANSPOSE reads, run by run in its own order, and transpose the runs."""
    spots: list[int] = []
    for places, _ in groups:  # a run without places stays beside the one before it
        spots.append(order[places[0]] if places else (spots[-1] if spots else -1))
    arranged = sorted(range(len(groups)), key=lambda index: spots[index])
    begins = np.cumsum([0, *(len(sizes) for _, sizes in groups)])
    axes = [axis for run in arranged for axis in range(begins[run], begins[run + 1])]
    back = [axes.index(axis) for axis in range(len(axes))]
    old = reshape.outputs[0]
    shape = [size for run in arranged for size in groups[run][1]]
    reshape.inputs[0] = transpose.inputs[0]
    file.operators.remove(transpose)
    if back == sorted(back):
        return
    new = file.add_tensor(tuple(shape), old)
    reshape.inputs = [reshape.inputs[0], _sizes(file, shape, transpose.inputs[1])]
    reshape.outputs = [new]
    reshape.builtinOptions = copy.copy(reshape.builtinOptions)
    if reshape.builtinOptions is not None:
        reshape.builtinOptions.newShape = list(shape)
    turn = _sizes(file, back, transpose.inputs[1])
    after = file.new_operator("TRANSPOSE", [new, turn], [old])
    file.operators.insert(file.operators.index(reshape) + 1, after)


def _images_with_mixed_channels(groups: _Groups, order: tuple[int, ...]) -> bool:
    """Whether (1, channels, height, width) comes out, of a source that has the channels last."""
    if len(groups) != 4 or any(len(sizes) != 1 or not places for places, sizes in groups[1:]):
        return False
    channels, height, width = (order[places[0]] for places, _ in groups[1:])
    return not groups[0][0] and max(height, width) < channels


def _split(file: File, transpose: Any, order: tuple[int, ...], groups: _Groups) -> tuple[int, ...]:
    """Two TRANSPOSEs for one: the first mixes channels where they lie, last; the second, whose
    order is returned, moves them before height and width, and can be moved on."""
    (_, channels, height, width) = ([order[place] for place in places] for places, _ in groups)
    ones = [axis for axis in range(len(order)) if axis not in (*channels, *height, *width)]
    inner = [*ones, *height, *width, *channels]
    outer = [inner.index(axis) for axis in order]
    source = _shape(file, transpose.inputs[0])
    middle = file.add_tensor(tuple(source[axis] for axis in inner), transpose.outputs[0])
    first = copy.copy(transpose)
    first.inputs = [transpose.inputs[0], _sizes(file, inner, transpose.inputs[1])]
    first.outputs = [middle]
    transpose.inputs = [middle, _sizes(file, outer, transpose.inputs[1])]
    file.operators.insert(file.operators.index(transpose), first)
    return tuple(outer)


def _sizes(file: File, values: list[int], like: int) -> int:
    return file.add_constant(np.array(values, np.int32), like)


def _shape(file: File, index: int) -> list[int]:
    return [int(size) for size in file.tensor(index).shape]
