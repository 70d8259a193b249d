"""Batch norms of a graph become a part of the layers around them, or layers of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgedistill.compress.surgery import (
    argument,
    is_any_conv,
    replace_by_depthwise,
    replace_by_linear,
    replace_by_product_and_sum,
    set_weights,
)
from edgedistill.errors import UserError
from edgedistill.program import value

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import GraphModule, Node


def fold_batch_norms(graph: GraphModule) -> None:
    """Into the layer before, else into the linear layers after, else into a layer of its own.

    Raises UserError: one keeps no statistics.
    """
    import torch

    for node in list(graph.graph.nodes):
        if str(node.target) != "aten.batch_norm.default":
            continue
        source, axes = node.args[0], node.meta["val"].dim()
        gamma, beta, mean, variance = (value(graph, each) for each in node.args[1:5])
        if mean is None or variance is None:
            raise UserError(
                f"the batch norm `{node.name}` keeps no running statistics, so that an answer "
                "depends on the other images of its batch",
                "train it with `track_running_stats=True`",
            )
        scale = torch.rsqrt(variance + float(node.args[7])) * (1 if gamma is None else gamma)
        shift = (0 if beta is None else beta) - mean * scale
        columns = _columns(graph, source, scale) if len(source.users) == 1 else None
        weight = value(graph, source.args[1]) if columns is not None else None
        if weight is not None and columns is not None and axes == weight.dim():
            bias = value(graph, argument(source, 2, None))
            bias = shift if bias is None else bias * scale + shift
            set_weights(graph, source, weight * columns, bias)
            node.replace_all_uses_with(source)
        elif axes not in (2, 4):
            name = str(node.args[3].target).removesuffix(".running_mean")
            replace_by_product_and_sum(graph, node, source, scale, shift, name)
        elif axes == 2 and all(map(_is_linear, node.users)):
            for reader in list(node.users):
                _absorb_features(graph, reader, scale, shift)
            node.replace_all_uses_with(source)
        else:
            name = str(node.args[3].target).removesuffix(".running_mean")
            replace = replace_by_linear if axes == 2 else replace_by_depthwise
            replace(graph, node, source, scale, shift, name)
        graph.graph.erase_node(node)


def _columns(graph: GraphModule, layer: Node, scale: Tensor) -> Tensor | None:
    """What a layer's weights are multiplied with, so that its outputs are by `scale`; None for
    another operator."""
    name, weight = str(layer.target), value(graph, argument(layer, 1, None))
    if weight is None:
        return None
    ones = [1] * (weight.dim() - 2)
    if is_any_conv(layer) or _is_linear(layer):
        return scale.reshape(-1, 1, *ones)
    if name.startswith("aten.conv_transpose") and argument(layer, 6, 1) == 1:
        return scale.reshape(1, -1, *ones)
    return None


def _is_linear(node: Node) -> bool:
    return str(node.target) == "aten.linear.default"


def _absorb_features(graph: GraphModule, linear: Node, scale: Tensor, shift: Tensor) -> None:
    """linear(scale * x + shift) as a linear layer of x."""
    weight, bias = value(graph, linear.args[1]), value(graph, argument(linear, 2, None))
    assert weight is not None
    shifted = weight @ shift
    set_weights(graph, linear, weight * scale, shifted if bias is None else bias + shifted)
