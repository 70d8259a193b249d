"""What a quantized program says of itself: its layers, their scales, and what stayed in float."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgedistill.compress.operators import (
    KNOWN,
    WEIGHTED,
    activations,
    is_clamp,
    is_fused,
    layer_name,
)
from edgedistill.program import Program, graph_of, part_of, value
from edgedistill.records import QuantizedLayer

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_QUANTIZE, _DEQUANTIZE = "quantized_decomposed.quantize_", "quantized_decomposed.dequantize_"
_NO_ARITHMETIC = ("aten.sym_", "aten._assert")


@dataclass(frozen=True)
class Description:
    """What a quantized program says of itself."""

    layers: tuple[QuantizedLayer, ...]
    float_layers: tuple[str, ...]
    """Those between quantized tensors too, where the quantizer knows no integer form of the
    operator. A part that was to stay in float stands for all that it holds."""
    quantize_nodes: int
    dequantize_nodes: int


def describe(program: Program, kept: Collection[str] = ()) -> Description:
    """The layers of a quantized program, with what is known of their scales; kept: the layers and
    parts that were to stay in float."""
    graph = graph_of(program)
    nodes = [node for node in graph.graph.nodes if node.op == "call_function"]
    layers = {
        node: _layer(graph, node)
        for node in nodes
        if str(node.target).startswith("aten.")
        and not str(node.target).startswith(_NO_ARITHMETIC)
        and not (is_clamp(node) and _computed_within(node))
    }
    in_float = (
        part_of(node, kept) or layer.name for node, layer in layers.items() if layer.in_float
    )
    return Description(
        layers=tuple(layers.values()),
        float_layers=tuple(dict.fromkeys(in_float)),
        quantize_nodes=sum(str(node.target).startswith(_QUANTIZE) for node in nodes),
        dequantize_nodes=sum(str(node.target).startswith(_DEQUANTIZE) for node in nodes),
    )


def _layer(graph: GraphModule, node: Node) -> QuantizedLayer:
    tail = next(iter(node.users)) if is_fused(node) else node
    quantize: Any = next((user for user in tail.users if _is(user, _QUANTIZE)), None)
    reads = all(_is(each, _DEQUANTIZE) for each in activations(node))
    in_float = str(node.target) not in KNOWN or quantize is None or not reads
    weight_scales: tuple[float, float] | None = None
    if str(node.target) in WEIGHTED:
        weight: Any = node.args[1]
        if _is(weight, _DEQUANTIZE):
            scales = value(graph, weight.args[1])
            one = weight.args[1]
            weight_scales = (
                (one, one) if scales is None else (float(scales.min()), float(scales.max()))
            )
        else:
            in_float = True
    scale, zero_point = (None, None) if quantize is None else quantize.args[1:3]
    return QuantizedLayer(
        name=layer_name(node),
        operator=str(node.target).split(".")[1],
        in_float=in_float,
        weight_scales=weight_scales,
        output_scale=scale,
        output_zero_point=zero_point,
    )


def _is(node: Any, kind: str) -> bool:
    return str(getattr(node, "target", "")).startswith(kind)


def _computed_within(clamp: Node) -> bool:
    """Whether a clamp is a part of the layer that feeds it."""
    source: Any = clamp.args[0]
    return is_fused(source)
