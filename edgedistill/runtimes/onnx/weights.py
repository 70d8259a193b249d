"""int8 weights of layers whose activations are floats: how an ONNX graph unpacks them.

Behind a DequantizeLinear, ONNX Runtime (1.32) joins a MatMul and its weight into an operator that
rounds activations as well, in blocks of 32, and unpacks the weight of any other layer in each run.
A Cast and a Mul of what is stored it computes once, as it loads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedistill.runtimes.onnx.clean_up import DQ, Look

_LAYERS = ("MatMul", "Gemm", "Conv")


@dataclass
class _Weight:
    """A stored weight of a layer that reads floats."""

    unpack: Any
    """Its DequantizeLinear."""
    turn: Any | None
    """The Transpose behind that."""
    layer: Any


def spell_out(graph: Any, kinds: Collection[str]) -> None:
    """Let the int8 weights of float layers of these kinds (`MatMul`, `Gemm`, `Conv`) be unpacked
    by a Cast and a Mul; others stay behind a DequantizeLinear, and linear layers are a MatMul
    there. In place; scales are stored once."""
    for weight in list(_weights(graph)):
        del weight.unpack.input[2:]  # no zero point is one of zero
        if weight.layer.op_type in kinds:
            _multiply(graph, weight)
        elif weight.layer.op_type == "Gemm":
            _split(graph, weight)


def _weights(graph: Any) -> Iterator[_Weight]:
    look = Look(graph)
    for node in graph.node:
        if node.op_type != DQ or not _is_symmetric(look, node):
            continue
        turn = look.reader(node.output[0], "Transpose")
        name = (turn or node).output[0]
        layer = next((each for kind in _LAYERS if (each := look.reader(name, kind))), None)
        if layer is not None and layer.input[1] == name and not look.maker(layer.input[0], DQ):
            yield _Weight(node, turn, layer)


def _is_symmetric(look: Look, unpack: Any) -> bool:
    """Whether a DequantizeLinear unpacks what is stored, by channel, zero as zero."""
    zero = look.constant(unpack.input[2]) if len(unpack.input) > 2 else None
    scale = look.constant(unpack.input[1])
    stored = unpack.input[0] in look.stored
    return stored and scale is not None and scale.ndim == 1 and (zero is None or not zero.any())


def _multiply(graph: Any, weight: _Weight) -> None:
    import onnx

    made, name = onnx.helper.make_node, weight.unpack.output[0]
    steps, scale = weight.unpack.input
    row = made("Cast", [steps], [f"{name}_steps"], to=onnx.TensorProto.FLOAT)
    nodes = [row]
    if weight.layer.op_type == "Conv":
        rank = len(Look(graph).constant(steps).shape)  # type: ignore[union-attr]
        axes = _store(graph, f"{name}_axes", list(range(1, rank)))
        nodes.append(made("Unsqueeze", [scale, axes], [f"{name}_scale"]))
        nodes.append(made("Mul", [row.output[0], f"{name}_scale"], [name]))
    else:
        turned = f"{name}_turned"
        nodes.append(made("Transpose", [row.output[0]], [turned], perm=[1, 0]))
        nodes.append(made("Mul", [turned, scale], [f"{name}_real"]))
        _turn_layer(graph, weight, f"{name}_real")
    _replace(graph, weight.unpack, nodes)


def _turn_layer(graph: Any, weight: _Weight, name: str) -> None:
    """Let a linear layer read a weight (inputs, outputs)."""
    weight.layer.input[1] = name
    for attribute in list(weight.layer.attribute):
        if attribute.name == "transB":
            weight.layer.attribute.remove(attribute)
    if weight.turn is not None:
        graph.node.remove(weight.turn)


def _split(graph: Any, weight: _Weight) -> None:
    """A Gemm as a MatMul and an Add."""
    import onnx

    made, gemm = onnx.helper.make_node, weight.layer
    name, answer = weight.unpack.output[0], gemm.output[0]
    bias = list(gemm.input[2:])
    turned = (weight.turn or weight.unpack).output[0]
    nodes = []
    if any(each.name == "transB" and each.i for each in gemm.attribute):
        nodes.append(made("Transpose", [turned], [f"{name}_turned"], perm=[1, 0]))
        turned = f"{name}_turned"
    product = f"{answer}_product" if bias else answer
    nodes.append(made("MatMul", [gemm.input[0], turned], [product]))
    if bias:
        nodes.append(made("Add", [product, *bias], [answer]))
    _replace(graph, gemm, nodes)


def _replace(graph: Any, old: Any, nodes: list[Any]) -> None:
    place = list(graph.node).index(old)
    graph.node.remove(old)
    for each in reversed(nodes):
        graph.node.insert(place, each)


def _store(graph: Any, name: str, sizes: list[int]) -> str:
    import onnx

    graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes, np.int64), name))
    return name
