"""All that one inference computes: its products, and the operators beside them that cost something
on a device though they multiply nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgedistill.models.work import Product, products_of, shape_of, traced

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import GraphModule, Node

Kind = Literal[
    "add", "mul", "relu", "logistic", "tanh", "softmax", "mean", "max_pool", "average_pool",
    "quantize", "dequantize", "pad", "slice", "strided_slice", "concatenation",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """An operator that is no product."""

    kind: Kind
    channels: int
    positions: int
    """Elements of each channel that it reads: that it writes, of a pool with a kernel and of what
    moves memory."""
    kernel: int = 1
    """Elements of a pool's kernel."""
    operator: str = ""
    """By torch's name, where `kind` only stands for it: what takes about as much."""
    weight: str = ""
    """Name of the parameter of a product before it, by whose channels it grows; none: of none."""

    @property
    def elements(self) -> int:
        """Of all channels."""
        return self.channels * self.positions


Work = Product | Step


def works(module: nn.Module, *example: Tensor) -> list[Work]:
    """Every product and every other operator of one inference on `example`, in their order.

    What exporters fold into a product is not listed: batch norms and activations that clamp what a
    convolution or a linear layer gives, paddings of height and width, and changes of shape.
    Slices of slices are one.
    """
    graph, names = traced(module, *example)
    return list(_works(graph, names))


def _works(graph: GraphModule, names: dict[str, str]) -> Iterator[Work]:
    for node in graph.graph.nodes:
        if node.op != "call_function":
            continue
        base = _base(node)
        kind = _KINDS.get(base)
        if base in _FREE or (kind == "relu" and _follows_product(node)):
            continue
        if base in _MOVING and (kind := _moving(node, base)) is None:
            continue
        if kind is not None:
            yield _step(node, kind, names)
        elif found := list(products_of(graph, names, node)):
            yield from found
        elif (step := _unknown(node, base, names)) is not None:
            yield step


def _base(node: Node) -> str:
    base, _, _ = str(node.target).removeprefix("aten.").partition(".")
    return base.removesuffix("_")


def _follows_product(node: Node) -> bool:
    """Whether a clamp is a part of the product before it."""
    made: Any = node.args[0]
    while made.op == "call_function" and _base(made) in ("batch_norm", "_native_batch_norm_legit"):
        made = made.args[0]
    return made.op == "call_function" and _base(made) in _CLAMPING


def _moving(node: Node, base: str) -> Kind | None:
    """What an operator is that moves memory; None where it is nothing, or a part of another: no
    padding of height and width, no slice that leaves all or that another one goes on from."""
    shape, given = shape_of(node), shape_of(node.all_input_nodes[0])
    if base == "cat":
        return "concatenation"
    if base != "slice":
        return "pad" if len(shape) == 4 and given[1] != shape[1] else None
    if all(_base(user) == "slice" for user in node.users):
        return None
    strided, first = False, node
    while _base(first) == "slice":
        strided = strided or first.args[4:] not in ((), (1,))
        first = first.all_input_nodes[0]
    if shape_of(first) == shape:
        return None
    return "strided_slice" if strided else "slice"


def _step(node: Node, kind: Kind, names: dict[str, str], operator: str = "") -> Step:
    shape = shape_of(node.args[0] if kind == "mean" else node) or (1,)
    channels = shape[1] if kind != "softmax" and len(shape) == 4 else shape[-1]
    kernel = 1
    if kind in ("max_pool", "average_pool"):
        sides: Any = node.args[1]
        both = [sides, sides] if isinstance(sides, int) else list(sides)
        kernel = math.prod(both if len(both) == 2 else both * 2)
    positions = math.prod(shape) // channels
    return Step(kind, channels, positions, kernel, operator, _weight_before(node, names))


def _weight_before(node: Node, names: dict[str, str]) -> str:
    """Of the nearest product that the node's first argument comes from."""
    while node.all_input_nodes:
        node = node.all_input_nodes[0]
        if _base(node) in _CLAMPING:
            return next((names[each.name] for each in node.all_input_nodes[1:]
                         if names.get(each.name)), "")  # fmt: skip
    return ""


def _unknown(node: Node, base: str, names: dict[str, str]) -> Step | None:
    """As an addition of as many elements; None for what gives no single tensor."""
    value: Any = node.meta.get("val")
    if not hasattr(value, "shape") or not len(value.shape) or not math.prod(shape_of(node)):
        return None
    return _step(node, "add", names, base)


_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("add", "sub"), "add"),
    **dict.fromkeys(("mul", "div"), "mul"),
    **dict.fromkeys(("relu", "relu6", "hardtanh", "clamp", "clamp_min"), "relu"),
    "sigmoid": "logistic",
    "tanh": "tanh",
    **dict.fromkeys(("softmax", "_softmax"), "softmax"),
    **dict.fromkeys(("mean", "adaptive_avg_pool2d"), "mean"),
    **dict.fromkeys(("max_pool2d", "max_pool2d_with_indices"), "max_pool"),
    "avg_pool2d": "average_pool",
}
_CLAMPING = {"conv1d", "conv2d", "convolution", "linear", "addmm", "mm", "conv_transpose2d"}
_FREE = {
    "batch_norm", "_native_batch_norm_legit", "dropout", "view", "reshape", "flatten", "squeeze",
    "unsqueeze", "contiguous", "detach", "t", "numpy_T", "identity",
    "alias", "clone", "lift_fresh_copy", "to", "_to_copy", "expand",
}  # fmt: skip
"""Folded into others, or only another look at the same values."""
_MOVING = {"cat", "pad", "constant_pad_nd", "slice"}
