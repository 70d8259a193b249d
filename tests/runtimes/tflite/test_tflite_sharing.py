"""A .tflite file holds what is the same once, and no RESHAPE that changes nothing."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from exported import SIZE, Exported

from edgedistill.runtimes.tflite import file as file_module
from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.reshapes import drop_needless_reshapes


def _plainly(value: Any) -> Any:
    """The schema's objects as what they hold."""
    if isinstance(value, list | tuple):
        return [_plainly(each) for each in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if type(value).__module__ in (schema.__name__, file_module.__name__):
        return {name: _plainly(each) for name, each in vars(value).items()}
    return value


def test_a_file_that_shares_says_the_same_in_less(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = File.read(exported.file("litert", "int8"))
    shared = file.pack()
    monkeypatch.setattr(file_module, "SharingBuilder", flatbuffers.Builder)
    plain = file.pack()
    assert len(shared) < 0.95 * len(plain)
    assert _plainly(File(shared).model) == _plainly(File(plain).model)


def _chain(shapes: list[tuple[int, ...]], ends: tuple[str, str] = ("RELU", "RELU")) -> File:
    """An operator, RESHAPEs to these shapes, another operator."""
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers = 3, [], [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []
    model.subgraphs, model.metadata = [graph], []
    file = File.__new__(File)
    file.model, file.graph = model, graph
    last = file.add_tensor((1, SIZE, 1))
    graph.inputs = [last]

    def then(kind: str, shape: tuple[int, ...], extra: list[int]) -> None:
        nonlocal last
        output = file.add_tensor(shape)
        file.operators.append(file.new_operator(kind, [last, *extra], [output]))
        last = output

    if ends[0]:
        then(ends[0], (1, SIZE, 1), [])
    for shape in shapes:
        then("RESHAPE", shape, [file.add_constant(np.array(shape, np.int32), None)])
    if ends[1]:
        then(ends[1], shapes[-1], [])
    graph.outputs = [last]
    return file


def test_reshapes_in_a_row_are_one() -> None:
    file = _chain([(SIZE, 1), (1, SIZE), (1, 1, SIZE)])
    drop_needless_reshapes(file)
    assert file.count() == {"RELU": 2, "RESHAPE": 1}
    assert file.operators[1].inputs[0] == file.operators[0].outputs[0]
    assert list(file.tensor(file.operators[1].outputs[0]).shape) == [1, 1, SIZE]


@pytest.mark.parametrize("ends", [("RELU", "RELU"), ("RELU", ""), ("", "RELU")])
def test_reshapes_that_come_back_are_none(ends: tuple[str, str]) -> None:
    file = _chain([(SIZE, 1), (1, SIZE, 1)], ends)
    drop_needless_reshapes(file)
    assert set(file.count()) == {"RELU"}
    first, last = file.operators[0], file.operators[-1]
    assert list(first.inputs) == list(file.graph.inputs)
    assert list(last.outputs) == list(file.graph.outputs)


def test_an_input_that_is_given_back_keeps_its_reshape() -> None:
    file = _chain([(1, SIZE, 1)], ("", ""))
    drop_needless_reshapes(file)
    assert file.count() == {"RESHAPE": 1}
    assert list(file.graph.outputs) != list(file.graph.inputs)


def test_what_operators_read_alike_is_one_tensor(exported: Exported) -> None:
    file = File.read(exported.file("litert", "int8"))
    stored = {index for each in file.operators for index in each.inputs if index >= 0}
    digests = [file.digest(index) for index in stored if file.constant(index) is not None]
    assert len(digests) == len(set(digests))
