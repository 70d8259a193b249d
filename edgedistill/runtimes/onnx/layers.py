"""An int8 .onnx file cut at every layer: each computes from integers that it is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.runtimes import onnxruntime
from edgedistill.runtimes.onnx.clean_up import DQ, Q

if TYPE_CHECKING:
    from edgedistill.runtimes import Array
    from edgedistill.runtimes.program import Layer

_GIVEN, _MADE, _TOLD = "_given", "_made", "_told"
_AT_ONCE = 4
"""Images, as a run keeps what every layer gives."""


def compute(
    path: Path, native: list[Array], given: dict[str, Array], layers: list[Layer], optimize: bool
) -> tuple[dict[str, Array], list[Array]]:
    """See `layers.Compute`."""
    import onnx

    model = onnx.load(path)
    inputs = [each.name for each in model.graph.input]
    outputs = [each.name for each in model.graph.output]
    cut = _cut(model.graph, layers)
    session = onnxruntime._session(model.SerializeToString(), 1, optimize)
    feeds = dict(zip(inputs, native, strict=True))
    feeds |= {each.name + _GIVEN: each.reals(given[each.name]) for each in cut}
    read = {each.name for each in session.get_inputs()}
    feeds = {name: values for name, values in feeds.items() if name in read}
    wanted = [*(layer.name + _TOLD for layer in cut), *outputs]
    parts = []
    for start in range(0, len(native[0]), _AT_ONCE):
        some = {name: values[start : start + _AT_ONCE] for name, values in feeds.items()}
        parts.append(session.run(wanted, some))
    whole = [np.concatenate(each) for each in zip(*parts, strict=True)]
    computed = zip(cut, whole[: len(cut)], strict=True)
    return {layer.name: layer.steps(reals) for layer, reals in computed}, whole[len(cut) :]


def _cut(graph: Any, layers: list[Layer]) -> list[Layer]:
    """Make every layer's integers an output, and what its readers read an input, both as real
    values: where integers were seen from outside, ONNX Runtime could not join a layer's operators
    to the kernels that it takes in the whole file. Returns those layers that the graph has."""
    import onnx

    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    by_name = {layer.name: layer for layer in layers}
    quantizers = (each for each in graph.node if each.op_type == Q)
    makers = [(each.output[0], each) for each in quantizers if each.output[0] in by_name]
    nodes = list(graph.node)
    for name, maker in makers:
        maker.output[0] = name + _MADE
        numbers = list(maker.input[1:])
        nodes.insert(0, node(Q, [name + _GIVEN, *numbers], [name]))
        nodes.append(node(DQ, [name + _MADE, *numbers], [name + _TOLD]))
        real, shape = onnx.TensorProto.FLOAT, ["batch", *by_name[name].shape]
        graph.input.append(value(name + _GIVEN, real, shape))
        graph.output.append(value(name + _TOLD, real, shape))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return [by_name[name] for name, _ in makers]
