"""What a quantized program says of itself: its layers, their scales, and what stayed in float."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedistill.compress.operators import (
    KNOWN,
    WEIGHTED,
    activations,
    is_clamp,
    is_fused,
    layer_name,
)
from edgedistill.program import Program, graph_of, value

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_QUANTIZE, _DEQUANTIZE = "quantized_decomposed.quantize_", "quantized_decomposed.dequantize_"
_NO_ARITHMETIC = ("aten.sym_", "aten._assert")


def describe(program: Program) -> dict[str, Any]:
    """JSON values: `layers` (name, operator, `float`, and where known `output_scale`,
    `output_zero_point` and the smallest and largest `weight_scales`), the number of
    `quantize_nodes` and `dequantize_nodes`, and the names of the `float_layers`: those between
    quantized tensors too, where the quantizer knows no integer form of the operator."""
    graph = graph_of(program)
    nodes = [node for node in graph.graph.nodes if node.op == "call_function"]
    layers = [
        _layer(graph, node)
        for node in nodes
        if str(node.target).startswith("aten.")
        and not str(node.target).startswith(_NO_ARITHMETIC)
        and not (is_clamp(node) and _computed_within(node))
    ]
    return {
        "layers": layers,
        "quantize_nodes": sum(str(node.target).startswith(_QUANTIZE) for node in nodes),
        "dequantize_nodes": sum(str(node.target).startswith(_DEQUANTIZE) for node in nodes),
        "float_layers": [layer["name"] for layer in layers if layer["float"]],
    }


def _layer(graph: GraphModule, node: Node) -> dict[str, Any]:
    tail = next(iter(node.users)) if is_fused(node) else node
    quantize: Any = next((user for user in tail.users if _is(user, _QUANTIZE)), None)
    reads = all(_is(each, _DEQUANTIZE) for each in activations(node))
    row: dict[str, Any] = {
        "name": layer_name(node),
        "operator": str(node.target).split(".")[1],
        "float": str(node.target) not in KNOWN or quantize is None or not reads,
    }
    if str(node.target) in WEIGHTED:
        weight: Any = node.args[1]
        if _is(weight, _DEQUANTIZE):
            scales = value(graph, weight.args[1])
            one = weight.args[1]
            row["weight_scales"] = (
                [one, one] if scales is None else [float(scales.min()), float(scales.max())]
            )
        else:
            row["float"] = True
    if quantize is not None:
        row["output_scale"], row["output_zero_point"] = quantize.args[1:3]
    return row


def _is(node: Any, kind: str) -> bool:
    return str(getattr(node, "target", "")).startswith(kind)


def _computed_within(clamp: Node) -> bool:
    """Whether a clamp is a part of the layer that feeds it."""
    source: Any = clamp.args[0]
    return is_fused(source)
