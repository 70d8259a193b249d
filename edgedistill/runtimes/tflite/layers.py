"""Each layer of an int8 .tflite file on its own, given the torch graph's integers.

Rounding adds up with depth, so that a deep file may be steps off with every layer right. Here a
layer's operators are cut out into a model of their own and fed what the torch graph computed.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.runtimes.litert import interpreter, to_channels_first
from edgedistill.runtimes.tflite.file import File

if TYPE_CHECKING:
    from edgedistill.runtimes import Array
    from edgedistill.runtimes.program import Layer


def compute(
    path: Path, native: list[Array], given: dict[str, Array], layers: list[Layer], optimize: bool
) -> tuple[dict[str, Array], list[Array]]:
    """See `layers.Compute`."""
    file = File.read(path)
    known = _known(file, layers)
    values = dict(zip(file.graph.inputs, native, strict=True))
    values |= {index: _channels_last(given[layer.name]) for index, layer in known.items()}
    pieces = {index: _piece(file, index, values, optimize) for index in known}
    outputs = []
    for last in file.graph.outputs:
        output = pieces[last] if last in known else _piece(file, last, values, optimize)
        assert output is not None, "an output that reads nothing"
        outputs.append(output)
    computed = {known[index].name: each for index, each in pieces.items() if each is not None}
    return {name: to_channels_first(each) for name, each in computed.items()}, outputs


def _piece(file: File, tensor: int, values: dict[int, Array], optimize: bool) -> Array | None:
    """`tensor` as it is computed from the known `values` before it; None for one that reads none
    of them."""
    operators, sources = _cut(file, tensor, values)
    if not sources:
        return None
    part = _alone(file, operators, sources, tensor)
    return _run(part, [values[index] for index in sources], optimize)


def _known(file: File, layers: list[Layer]) -> dict[int, Layer]:
    """Tensors that hold a layer's integers: they bear its label, and the boundary its own name."""
    by_label = {layer.label: layer for layer in layers}
    ends = [(_integer_input(file, layer.input), layer) for layer in layers]
    ends += [(_integer_output(file, layer.output), layer) for layer in layers]
    known = {index: layer for index, layer in ends if index is not None}
    for index, tensor in enumerate(file.graph.tensors):
        layer = by_label.get(bytes(tensor.name or b"").decode())
        if layer is not None and index not in known and layer not in known.values():
            known[index] = layer
    return known


def _integer_input(file: File, place: int | None) -> int | None:
    """The integers of an input, behind QUANTIZE where the file has it; None where the layer that
    reads it was left in float."""
    if place is None:
        return None
    index: int = file.graph.inputs[place]
    if file.dtype(index) != "float32":
        return index
    readers = (each for each in file.consumers(index) if file.kind(each) == "QUANTIZE")
    return next((each.outputs[0] for each in readers), None)


def _integer_output(file: File, place: int | None) -> int | None:
    """The integers of an output, before DEQUANTIZE where the file has it."""
    if place is None:
        return None
    index: int = file.graph.outputs[place]
    if file.dtype(index) != "float32":
        return index
    maker = file.producer(index)
    return maker.inputs[0] if maker is not None and file.kind(maker) == "DEQUANTIZE" else None


def _cut(file: File, tensor: int, known: dict[int, Array]) -> tuple[list[Any], list[int]]:
    """The operators between `tensor` and the known tensors before it, and those tensors."""
    wanted, operators, sources = [tensor], [], []
    while wanted:
        operator = file.producer(wanted.pop())
        if operator is None or operator in operators:
            continue
        operators.append(operator)
        for index in operator.inputs:
            if index in known:
                sources.append(index)
            elif index >= 0:
                wanted.append(index)
    ordered = [each for each in file.operators if each in operators]
    return ordered, list(dict.fromkeys(sources))


def _alone(file: File, operators: list[Any], sources: list[int], tensor: int) -> bytes:
    part = copy.copy(file)
    part.model = copy.copy(file.model)
    part.model.operatorCodes = list(file.model.operatorCodes)
    part.model.metadata, part.model.signatureDefs = None, None
    part.graph = copy.copy(file.graph)
    part.graph.tensors = [copy.copy(each) for each in file.graph.tensors]
    part.graph.operators = [copy.copy(each) for each in operators]
    part.graph.inputs, part.graph.outputs = list(sources), [tensor]
    part.model.subgraphs = [part.graph, *copy.deepcopy(file.model.subgraphs[1:])]
    return part.pack()


def _run(content: bytes, given: list[Array], optimize: bool) -> Array:
    runner = interpreter(content, 1, optimize)
    places = [each["index"] for each in runner.get_input_details()]
    output = runner.get_output_details()[0]["index"]
    results = []
    for image in range(len(given[0])):
        for place, values in zip(places, given, strict=True):
            runner.set_tensor(place, values[image : image + 1])
        runner.invoke()
        results.append(runner.get_tensor(output))
    return np.concatenate(results)


def _channels_last(values: Array) -> Array:
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)) if values.ndim == 4 else values
