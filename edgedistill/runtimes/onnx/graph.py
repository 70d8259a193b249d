"""The program as an ONNX graph with integer weights, shared by ONNX Runtime and OpenVINO."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.runtimes import Spec
from edgedistill.runtimes.onnx.clean_up import DQ, Q, clean_up
from edgedistill.runtimes.onnx.translations import translations
from edgedistill.runtimes.onnx.weights import Way, unpack_weights
from edgedistill.runtimes.program import fold_weights, made_once
from edgedistill.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from onnx import NodeProto

    from edgedistill.program import Program

_FUSED = {"Relu", "Clip"}
_WEIGHTED = {"Conv", "Gemm", "MatMul"}


def build(program: Program, spec: Spec, weights: Way = "kept") -> tuple[Any, Signature]:
    """The ONNX model, and its signature. The batch is dynamic; weights: how those of float layers
    are unpacked, where they are int8."""
    import onnx

    quantized = spec.precision == "int8"
    model = onnx.ModelProto()
    model.CopyFrom(made_once(program, "onnx", lambda: _export(program, quantized)))
    signature = program.signature
    _pool_globally(model.graph)
    clean_up(model.graph)
    if quantized:
        _integer_biases(model.graph)
        unpack_weights(model, weights)
        if spec.io == "integer":
            inputs = tuple(_strip_input(model.graph, each) for each in signature.inputs)
            outputs = tuple(_strip_output(model.graph, each) for each in signature.outputs)
            signature = replace(signature, inputs=inputs, outputs=outputs)
    if spec.precision == "fp16":
        model = _halve(model)
    _drop_unused(model.graph)
    for value, tensor in zip(model.graph.input, signature.inputs, strict=True):
        _set_shape(value, tensor)
    for value, tensor in zip(model.graph.output, signature.outputs, strict=True):
        _set_shape(value, tensor)
    del model.graph.value_info[:]  # runtimes infer them; a small file is 4 % smaller
    _drop_defaults(model)
    model.graph.name = spec.name
    return model, signature


def _export(program: Program, quantized: bool) -> Any:
    import torch

    program = fold_weights(program) if quantized else program
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(
            program.exported, dynamo=True, verbose=False,
            input_names=[each.name for each in program.signature.inputs],
            output_names=[each.name for each in program.signature.outputs],
            custom_translation_table=translations(program.exported),
        )  # fmt: skip
    assert exported is not None
    model = exported.model_proto
    _strip_trail(model)
    return model


def _halve(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    read = {name for node in model.graph.node if node.op_type == "MatMul" for name in node.input}
    # ONNX Runtime computes half-precision products in float32 on a CPU, through a cast, and dies as
    # it loads where it would take a transpose, behind that cast, into the product.
    whole = [node.name for node in model.graph.node
             if node.op_type == "Transpose" and read & set(node.output)]  # fmt: skip
    halved = OnnxModel(convert_float_to_float16(model, keep_io_types=True, node_block_list=whole))
    halved.topological_sort()
    return halved.model


def _strip_trail(model: Any) -> None:
    """Drop the exporter's stack traces: they name this machine's folders, and weigh."""
    del model.metadata_props[:]
    graph = model.graph
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def _drop_defaults(model: Any) -> None:
    """Leave out attributes that ask for what an operator does without them: of a small file, 1 %.

    The operators' definitions list them, but for strides and dilations: how many ones these are
    depends on the rank.
    """
    import onnx

    versions = {each.domain: each.version for each in model.opset_import}
    for node in model.graph.node:
        if not onnx.defs.has(node.op_type, node.domain):  # a runtime's own
            continue
        known = onnx.defs.get_schema(node.op_type, versions[node.domain], node.domain).attributes
        for each in list(node.attribute):
            ones = each.name in ("strides", "dilations") and set(each.ints) == {1}
            if ones or known[each.name].default_value == each:
                node.attribute.remove(each)


def _set_shape(value: Any, tensor: TensorSpec) -> None:
    import onnx

    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    shape = ["batch" if size is None else size for size in tensor.shape]
    value.CopyFrom(onnx.helper.make_tensor_value_info(tensor.name, kind, shape))


def _constants(graph: Any) -> dict[str, np.ndarray[Any, Any]]:
    import onnx

    return {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}


def _producers(graph: Any) -> dict[str, NodeProto]:
    return {name: node for node in graph.node for name in node.output}


def _integer_biases(graph: Any) -> None:
    """Store the bias of each integer convolution and linear layer as int32, in steps of input
    scale times weight scale: what integer kernels add to their sums."""
    import onnx

    constants, producers = _constants(graph), _producers(graph)
    for index, node in reversed(list(enumerate(graph.node))):
        if node.op_type not in _WEIGHTED or len(node.input) < 3:
            continue
        sources = [producers.get(name) for name in node.input[:2]]
        if not all(source is not None and source.op_type == DQ for source in sources):
            continue
        bias = constants.get(node.input[2])
        assert bias is not None and bias.dtype == np.float32, node.name
        scales = [constants[source.input[1]] for source in sources]  # type: ignore[union-attr]
        scale = (scales[0] * scales[1]).astype(np.float32)
        steps = np.rint(bias.astype(np.float64) / scale)
        limits = np.iinfo(np.int32)
        stem = f"{node.output[0]}_bias"
        names = [f"{stem}_steps", f"{stem}_scale"]
        integers = np.clip(steps, limits.min, limits.max).astype(np.int32)
        for name, array in zip(names, (integers, scale), strict=True):
            graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        axis = {"axis": 0} if scale.ndim else {}
        graph.node.insert(index, onnx.helper.make_node(DQ, names, [stem], **axis))
        node.input[2] = stem


def _pool_globally(graph: Any) -> None:
    """A mean over height and width as the GlobalAveragePool that has an integer kernel."""
    import onnx

    constants, ranks = _constants(graph), _ranks(graph)
    for index, node in list(enumerate(graph.node)):
        if node.op_type != "ReduceMean" or len(node.input) < 2:
            continue
        axes = sorted(int(axis) % 4 for axis in constants.get(node.input[1], np.zeros(0, int)))
        keeps = all(each.i for each in node.attribute if each.name == "keepdims")
        if axes == [2, 3] and keeps and ranks.get(node.output[0]) == 4:
            pool = onnx.helper.make_node(
                "GlobalAveragePool", [node.input[0]], list(node.output), name=node.name
            )
            graph.node[index].CopyFrom(pool)


def _ranks(graph: Any) -> dict[str, int]:
    return {each.name: len(each.type.tensor_type.shape.dim) for each in graph.value_info}


def unshare(graph: Any) -> None:
    """Give every quantize and dequantize node a scale and a zero point of its own: OpenVINO
    reshapes a shared one for all that read it."""
    stored = {each.name: each for each in graph.initializer}
    for place, node in enumerate(graph.node):
        if node.op_type in (Q, DQ):
            for index, name in enumerate(node.input[1:], 1):
                twin = graph.initializer.add()
                twin.CopyFrom(stored[name])
                twin.name = node.input[index] = f"{name}_{place}_{index}"
    _drop_unused(graph)


def _quantization(graph: Any, node: Any) -> tuple[float, int, str] | None:
    """Scale, zero point and type of a quantize or dequantize node; None for any other."""
    constants = _constants(graph)
    if node.op_type not in (Q, DQ) or constants[node.input[1]].size != 1:
        return None
    zero = constants[node.input[2]]
    return float(constants[node.input[1]].item()), int(zero.item()), str(zero.dtype)


def _strip_input(graph: Any, tensor: TensorSpec) -> TensorSpec:
    """Take the QuantizeLinear off an input: the app feeds the integers. A first layer that was
    left in float is fed floats."""
    users = [node for node in graph.node if tensor.name in node.input]
    found = {_quantization(graph, node) for node in users}
    (only,) = found if len(found) == 1 else (None,)
    if only is None:
        return tensor
    for node in users:
        graph.node.remove(node)
        _rename(graph, node.output[0], tensor.name)
    return _integer(tensor, *only)


def _strip_output(graph: Any, tensor: TensorSpec) -> TensorSpec:
    """Take the DequantizeLinear off an output. A last layer that was left in float gives floats,
    and so does one whose integers come from outside."""
    producers = _producers(graph)
    last = producers[tensor.name]
    found = _quantization(graph, last)
    if found is None or last.input[0] not in producers:
        return tensor
    graph.node.remove(last)
    read_inside = any(tensor.name in node.input for node in graph.node)
    if read_inside:
        _rename(graph, tensor.name, f"{tensor.name}_real")
        last.output[0] = f"{tensor.name}_real"
        graph.node.append(last)
    _rename(graph, last.input[0], tensor.name)
    return _integer(tensor, *found)


def _integer(tensor: TensorSpec, scale: float, zero_point: int, dtype: str) -> TensorSpec:
    return replace(tensor, dtype=dtype, scale=scale, zero_point=zero_point)


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def float_operators(graph: Any) -> list[str]:
    """Operators that a QDQ graph leaves in float, as `type name`."""
    producers, constants = _producers(graph), _constants(graph)
    users = _users(graph)

    def joins(first: Any, second: Any) -> bool:
        return second.op_type in _FUSED and users[first.output[0]] == [second]

    found = []
    for node in graph.node:
        if node.op_type in (Q, DQ):
            continue
        sources = [producers.get(name) for name in node.input if name and name not in constants]
        readers = users[node.output[0]]
        if node.op_type in _WEIGHTED and node.input[1] in constants:
            found.append(f"{node.op_type} {node.output[0]}")
            continue
        reads = all(each and (each.op_type == DQ or joins(each, node)) for each in sources)
        writes = all(each.op_type == Q or joins(node, each) for each in readers)
        if not (sources and reads and readers and writes):
            found.append(f"{node.op_type} {node.output[0]}")
    return found


class _Users(dict[str, list[Any]]):
    def __missing__(self, name: str) -> list[Any]:
        return []


def _users(graph: Any) -> dict[str, list[Any]]:
    found = _Users()
    for node in graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def inner_pairs(graph: Any) -> int:
    """QuantizeLinear operators, away from the input, that read what no integer operator gave:
    with their partner they surround a float island."""
    islands = {name.split(" ", 1)[1] for name in float_operators(graph)}
    return sum(node.op_type == Q and node.input[0] in islands for node in graph.node)
