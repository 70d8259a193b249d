"""A shift and scale of the pixels at the head of a graph, folded into its first convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedistill.compress.surgery import (
    argument,
    is_conv,
    replace_by_depthwise,
    set_weights,
)
from edgedistill.program import value

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import GraphModule, Node


def fold_pixel_affine(graph: GraphModule, channels: int) -> None:
    """Fold `(x - mean) / std` and its like, at the head of the graph."""
    import torch

    pixels = next(node for node in graph.graph.nodes if node.op == "placeholder")
    scale, shift = torch.ones(channels), torch.zeros(channels)
    chain: list[Node] = []
    tail = pixels
    while (step := _affine_step(graph, tail, channels)) is not None:
        tail, factor, offset = step
        scale, shift = scale * factor, shift * factor + offset
        chain.append(tail)
    if not chain:
        return
    users = [node for node in tail.users if node.op == "call_function"]
    if all(_absorbs(node, bool(shift.any())) for node in users):
        for conv in users:
            _absorb(graph, conv, scale, shift)
        tail.replace_all_uses_with(pixels)
    else:
        replace_by_depthwise(graph, tail, pixels, scale, shift, "normalize")
    for node in reversed(chain):
        graph.graph.erase_node(node)


def _affine_step(
    graph: GraphModule, node: Node, channels: int
) -> tuple[Node, Tensor, Tensor] | None:
    """The one user of `node`, where it adds or multiplies by a constant per channel, with its
    factor and offset."""
    import torch

    users = [user for user in node.users if user.op == "call_function"]
    if len(users) != 1 or len(users[0].args) < 2 or users[0].kwargs:
        return None
    user, kind = users[0], str(users[0].target).split(".")[1]
    constant = _per_channel(graph, user.args[1], channels) if user.args[0] is node else None
    if constant is None:
        return None
    one, zero = torch.ones(channels), torch.zeros(channels)
    steps = {
        "add": (one, constant),
        "sub": (one, -constant),
        "mul": (constant, zero),
        "div": (1 / constant, zero),
    }
    return (user, *steps[kind]) if kind in steps else None


def _per_channel(graph: GraphModule, operand: Any, channels: int) -> Tensor | None:
    import torch

    if isinstance(operand, (int, float)):
        return torch.full((channels,), float(operand))
    constant = value(graph, operand)
    if constant is None or constant.numel() not in (1, channels):
        return None
    if constant.numel() > 1 and constant.shape[-3:] != (channels, 1, 1):
        return None
    return constant.reshape(-1).expand(channels)


def _absorbs(node: Node, shifted: bool) -> bool:
    padding = argument(node, 4, 0)
    return is_conv(node) and (not shifted or not any(_each(padding)))


def _each(padding: Any) -> list[Any]:
    if isinstance(padding, str):
        return [padding != "valid"]
    return list(padding) if isinstance(padding, (list, tuple)) else [padding]


def _absorb(graph: GraphModule, conv: Node, scale: Tensor, shift: Tensor) -> None:
    """conv(scale * x + shift) as a convolution of x."""
    weight = value(graph, conv.args[1])
    assert weight is not None
    groups = argument(conv, 6, 1)
    out, per_group = weight.shape[:2]

    def by_input(vector: Tensor) -> Tensor:
        return vector.reshape(groups, 1, per_group).expand(groups, out // groups, per_group)

    bias = value(graph, argument(conv, 2, None))
    shifted = weight.sum((2, 3)) * by_input(shift).reshape(out, per_group)
    bias = shifted.sum(1) if bias is None else bias + shifted.sum(1)
    set_weights(graph, conv, weight * by_input(scale).reshape(out, per_group, 1, 1), bias)
