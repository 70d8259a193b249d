"""Turn integers and not the floats that they become: a quarter of the bytes."""

from __future__ import annotations

from typing import Any

from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.transposes import permutation, transposes

_PASSED = {
    "RELU", "RELU6", "LOGISTIC", "TANH", "ABS", "NEG", "SQRT", "SQUARE", "GELU", "RESHAPE",
}  # fmt: skip
_WITH_A_NUMBER = {"ADD", "SUB", "MUL", "DIV"}


def move_before_floats(file: File) -> None:
    """Move each TRANSPOSE of floats before the DEQUANTIZE that they come from, where nothing lies
    between but operators that take one value after another, and reshapes."""
    for transpose in transposes(file):
        way = _way_up(file, int(transpose.inputs[0])) if permutation(file, transpose) else []
        if way:
            _move(file, transpose, way)


def _way_up(file: File, index: int) -> list[Any]:
    """The operators from a DEQUANTIZE of computed integers down to the one that makes `index`,
    each the only reader of the one before; empty where there is no such way."""
    way: list[Any] = []
    while True:
        maker = file.producer(index)
        if maker is None or len(file.consumers(index)) != 1 or index in file.graph.outputs:
            return []
        way.insert(0, maker)
        kind, sources = file.kind(maker), _computed(file, maker)
        if kind == "DEQUANTIZE":
            return way if len(sources) == 1 else []
        if len(sources) != 1 or not (kind in _PASSED or _is_with_a_number(file, maker)):
            return []
        index = sources[0]


def _computed(file: File, operator: Any) -> list[int]:
    return [int(each) for each in operator.inputs if file.constant(each) is None]


def _is_with_a_number(file: File, operator: Any) -> bool:
    values = [file.constant(index) for index in operator.inputs]
    sizes = [value.size for value in values if value is not None]
    return file.kind(operator) in _WITH_A_NUMBER and sizes == [1]


def _move(file: File, transpose: Any, way: list[Any]) -> None:
    """What moves values goes first, in its order, and then what computes with them."""
    integers, given = int(way[0].inputs[0]), int(transpose.outputs[0])
    last = integers
    moving = [*(each for each in way if file.kind(each) == "RESHAPE"), transpose]
    rest = [each for each in way if each not in moving]
    shapes = {id(each): _shape(file, int(each.outputs[0])) for each in moving}
    place = file.operators.index(way[0])
    for operator in moving:
        file.operators.remove(operator)
    file.operators[place:place] = moving
    for operator in (*moving, *rest):
        (before,) = _computed(file, operator)
        operator.inputs = [last if index == before else index for index in operator.inputs]
        like = integers if operator in moving else int(operator.outputs[0])
        shape = shapes.get(id(operator), shapes[id(transpose)])
        last = given if operator is rest[-1] else file.add_tensor(shape, like)
        operator.outputs = [last]


def _shape(file: File, index: int) -> tuple[int, ...]:
    return tuple(int(size) for size in file.tensor(index).shape)
