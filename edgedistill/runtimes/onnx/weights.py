"""int8 weights of layers whose activations are floats: how an ONNX graph unpacks them.

From opset 21 on, ONNX Runtime (1.32) joins a DequantizeLinear and a MatMul into an operator that
rounds activations as well, in blocks of 32, where nothing else reads the weight and its scales. Any
other DequantizeLinear it computes in each run. A Cast and a Mul of what is stored it computes once,
as it loads, and so a Transpose and a Reshape.

That operator is as fast as any for one row, and hardly faster than floats for many. There a product
of integers is (MatMulInteger), three times on a processor that multiplies bytes. Activations are
rounded by rows for it: a row between others that are a hundred times as large would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

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


Way = Literal["kept", "spelled_out", "dynamic"]
"""`kept`: behind a DequantizeLinear; `spelled_out`: by a Cast and a Mul; `dynamic`: so that ONNX
Runtime computes linear layers in integers, and others spelled out."""
_ZERO = 128
"""Activations are bytes without a sign, as the kernels of x86 take them."""


def unpack_weights(model: Any, way: Way) -> None:
    """Let the int8 weights of float layers be unpacked in a way; in place. What is stored is stored
    once."""
    graph, found = model.graph, list(_weights(model.graph))
    many = _of_many_rows(model) if way == "dynamic" else set()
    for weight in found:
        del weight.unpack.input[2:]  # no zero point is one of zero
        if way == "spelled_out" or (way == "dynamic" and weight.layer.op_type == "Conv"):
            _multiply(graph, weight)
        elif way == "dynamic" and weight.layer.input[0] in many:
            _multiply_integers(graph, weight)
        elif way == "dynamic":
            _join(graph, weight)
    if found and way == "dynamic":
        _raise_opset(model)


def _of_many_rows(model: Any) -> set[str]:
    """Tensors of more than one row of channels."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        each.name
        for each in (*graph.input, *graph.value_info)
        if any(size.dim_value > 1 for size in each.type.tensor_type.shape.dim[:-1])
    }


def _raise_opset(model: Any) -> None:
    """To 21, which changes what one operator alone means."""
    kinds = {node.op_type for node in model.graph.node}
    for each in model.opset_import:
        if not each.domain and each.version == 20 and "GroupNormalization" not in kinds:
            each.version, model.ir_version = 21, max(10, model.ir_version)


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
        axes = _store(graph, f"{name}_axes", np.arange(1, rank))
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


def _multiply_integers(graph: Any, weight: _Weight) -> None:
    """Rows of activations rounded, a product of integers, and that times both scales."""
    import onnx

    made, layer, name = onnx.helper.make_node, weight.layer, weight.unpack.output[0]
    steps, scale = weight.unpack.input
    rows, turned, answer = _rounded(graph, layer.input[0]), f"{name}_turned", layer.output[0]
    _replace(graph, weight.unpack, [made("Transpose", [steps], [turned], perm=[1, 0])])
    if weight.turn is not None:
        graph.node.remove(weight.turn)
    zero, bias = _store(graph, f"{answer}_zero", np.uint8(_ZERO)), list(layer.input[2:])
    product = f"{answer}_product" if bias else answer
    nodes = [
        made("MatMulInteger", [rows.steps, turned, zero], [f"{answer}_sums"]),
        made("Cast", [f"{answer}_sums"], [f"{answer}_steps"], to=onnx.TensorProto.FLOAT),
        made("Mul", [f"{answer}_steps", scale], [f"{answer}_rows"]),
        made("Mul", [f"{answer}_rows", rows.scale], [product]),
    ]
    nodes += [made("Add", [product, *bias], [answer])] if bias else []
    _replace(graph, layer, nodes)


class _Rows(NamedTuple):
    """Names of a tensor's rounded rows (..., channels), uint8, and of their scales (..., 1)."""

    steps: str
    scale: str


def _rounded(graph: Any, name: str) -> _Rows:
    """A tensor's rows, rounded right behind what makes it, for all that read it."""
    import onnx

    made, found = onnx.helper.make_node, _Rows(f"{name}_rounded", f"{name}_rounded_scale")
    makers = {each: at for at, node in enumerate(graph.node) for each in node.output}
    if found.steps in makers:
        return found
    stem = found.steps
    last = _store(graph, f"{stem}_axis", np.array([-1], np.int64))
    step = _store(graph, f"{stem}_step", np.float32(1 / 127))
    least = _store(graph, f"{stem}_least", np.finfo(np.float32).tiny)
    one = _store(graph, f"{stem}_one", np.float32(1))
    zero = _store(graph, f"{stem}_zero", np.uint8(_ZERO))
    nodes = [
        made("Abs", [name], [f"{stem}_size"]),
        made("ReduceMax", [f"{stem}_size", last], [f"{stem}_most"], keepdims=1),
        made("Mul", [f"{stem}_most", step], [f"{stem}_raw"]),
        made("Max", [f"{stem}_raw", least], [found.scale]),
        made("Div", [name, found.scale], [f"{stem}_real"]),
        made("QuantizeLinear", [f"{stem}_real", one, zero], [found.steps]),
    ]
    place = makers.get(name, -1) + 1
    for node in reversed(nodes):
        graph.node.insert(place, node)
    return found


def _join(graph: Any, weight: _Weight) -> None:
    """The integers turned, a DequantizeLinear and a MatMul; the bias of a Gemm by an Add."""
    import onnx

    made, layer, name = onnx.helper.make_node, weight.layer, weight.unpack.output[0]
    steps, scale = weight.unpack.input
    nodes = [made("Transpose", [steps], [f"{name}_turned"], perm=[1, 0])]
    if sum(list(each.input).count(scale) for each in graph.node) > 1:
        flat = _store(graph, f"{name}_flat", np.array([-1], np.int64))
        nodes.append(made("Reshape", [scale, flat], [f"{name}_scale"]))
        scale = f"{name}_scale"
    nodes.append(made(DQ, [f"{name}_turned", scale], [f"{name}_real"], axis=1))
    _turn_layer(graph, weight, f"{name}_real")
    _replace(graph, weight.unpack, nodes)
    if layer.op_type == "Gemm":
        answer, bias = layer.output[0], list(layer.input[2:])
        product = f"{answer}_product" if bias else answer
        split = [made("MatMul", list(layer.input[:2]), [product])]
        split += [made("Add", [product, *bias], [answer])] if bias else []
        _replace(graph, layer, split)


def _replace(graph: Any, old: Any, nodes: list[Any]) -> None:
    place = list(graph.node).index(old)
    graph.node.remove(old)
    for each in reversed(nodes):
        graph.node.insert(place, each)


def _store(graph: Any, name: str, values: Any) -> str:
    import onnx

    graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values), name))
    return name
