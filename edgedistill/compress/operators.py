"""The operators a quantizer knows, and how it speaks of a graph's nodes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from edgedistill.compress.surgery import argument
from edgedistill.program import part_of

if TYPE_CHECKING:
    from torch.fx import Node

WEIGHTED = {"aten.conv2d.default", "aten.conv2d.padding", "aten.linear.default"}
RANGED = {
    "aten.add.Tensor",
    "aten.sub.Tensor",
    "aten.mul.Tensor",
    "aten.mean.dim",
    "aten.adaptive_avg_pool2d.default",
    "aten.relu.default",
    "aten.hardtanh.default",
    "aten.relu6.default",
    "aten.hardswish.default",
    "aten.hardsigmoid.default",
    "aten.leaky_relu.default",
}
FIXED = {"aten.sigmoid.default": (1 / 256, -128), "aten.softmax.int": (1 / 256, -128)}
"""Operators whose output scale the integer kernels prescribe."""
SAME_SCALE = {
    "aten.pad.default",
    "aten.constant_pad_nd.default",
    "aten.slice.Tensor",
    "aten.select.int",
    "aten.reshape.default",
    "aten.view.default",
    "aten.flatten.using_ints",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.unsqueeze.default",
    "aten.permute.default",
    "aten.transpose.int",
    "aten.max_pool2d.default",
    "aten.avg_pool2d.default",
    "aten.cat.default",
}
AVERAGES = {"aten.avg_pool2d.default"}
"""Of those, what computes values that were not there before."""
KNOWN = WEIGHTED | RANGED | set(FIXED) | SAME_SCALE
CLAMPS = {"aten.relu.default", "aten.relu6.default", "aten.hardtanh.default"}
"""What integer kernels compute within the layer before; of `hardtanh`, only what is ReLU6."""


def layer_name(node: Node) -> str:
    """A weighted node's name in the module it came from; any other node's own name."""
    if str(node.target) not in WEIGHTED:
        return node.name
    weight: Any = node.args[1]
    while weight.op != "get_attr":  # behind a fake quantizer, or quantize and dequantize nodes
        weight = weight.args[0]
    return str(weight.target).removesuffix(".weight")


def is_kept(node: Node, keep_float: Collection[str]) -> bool:
    """Whether `node`, or what it is computed within, is to stay in float: its layer is named, or a
    module that holds it."""
    within: Any = node.args[0] if is_clamp(node) and is_fused(node.args[0]) else node  # type: ignore[arg-type]
    return any(
        layer_name(each) in keep_float or part_of(each, keep_float) for each in (node, within)
    )


def is_fused(node: Node) -> bool:
    """Whether `node` is computed together with the clamp that alone reads it."""
    users = list(node.users)
    can = str(node.target) in WEIGHTED | {"aten.add.Tensor"}
    return can and len(users) == 1 and is_clamp(users[0])


def is_clamp(node: Node) -> bool:
    """Whether `node` is a ReLU or a ReLU6, under whatever name."""
    if str(node.target) == "aten.hardtanh.default":
        return tuple(node.args[1:]) == (0, 6)
    return str(node.target) in CLAMPS


def activations(node: Node) -> list[Node]:
    """The computed tensors that `node` reads: not its weights and constants."""
    weights = node.args[1:3] if str(node.target) in WEIGHTED else ()
    return [
        each
        for each in node.all_input_nodes
        if each not in weights and each.op != "get_attr" and not _is_size(each)
    ]


def _is_size(node: Node) -> bool:
    """Whether a node gives a size that depends on the batch, and no tensor."""
    name = str(node.target)
    computed = name.startswith("<built-in") and "getitem" not in name
    return node.op == "call_function" and (computed or name.startswith("aten.sym_"))


UNBOUNDED = 1e4
"""A constant so far out stands for infinity (-1e9 in a mask): no range is widened for it."""


def padding_value(node: Node) -> float | None:
    """What a padding with a constant fills in; None for any other operator."""
    name, value = str(node.target), None
    if name == "aten.constant_pad_nd.default":
        value = argument(node, 2, 0.0)
    elif name == "aten.pad.default" and argument(node, 2, "constant") == "constant":
        value = argument(node, 3, None) or 0.0
    return float(value) if isinstance(value, (int, float)) else None


def is_unbounded(value: Any) -> bool:
    """Whether a number in a graph stands for infinity: `UNBOUNDED` or further out, or NaN."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and not abs(value) < UNBOUNDED
