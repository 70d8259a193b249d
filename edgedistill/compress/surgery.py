"""Changes to a graph's layers that keep what it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import GraphModule, Node


def argument(node: Node, position: int, default: Any) -> Any:
    """The positional argument at `position`, or `default` where the call leaves it out."""
    return node.args[position] if len(node.args) > position else default


def is_conv(node: Node) -> bool:
    """Whether `node` is a convolution of two dimensions."""
    return str(node.target) in ("aten.conv2d.default", "aten.conv2d.padding")


def is_any_conv(node: Node) -> bool:
    """Of any number of dimensions."""
    name = str(node.target)
    return name.startswith(("aten.conv1d.", "aten.conv2d.", "aten.conv3d."))


def set_weights(graph: GraphModule, layer: Node, weight: Tensor, bias: Tensor) -> None:
    """Give `layer` a weight (outputs, ...) and a bias (outputs,) of its own, named after its
    present weight."""
    import torch

    old = layer.args[1]
    assert isinstance(old, torch.fx.Node)
    name = str(old.target).removesuffix(".weight")
    if len(old.users) > 1:
        name = f"{name}.{layer.name}"
    nodes = _constants(graph, layer, name, weight, bias)
    layer.args = (layer.args[0], *nodes, *layer.args[3:])


def _constants(
    graph: GraphModule, before: Node, name: str, weight: Tensor, bias: Tensor
) -> list[Node]:
    import torch

    if name not in dict(graph.named_modules()):
        graph.add_submodule(name, torch.nn.Module())
    holder = graph.get_submodule(name)
    nodes = []
    for kind, tensor in (("weight", weight), ("bias", bias)):
        holder.register_parameter(kind, torch.nn.Parameter(tensor.clone().contiguous()))
        with graph.graph.inserting_before(before):
            nodes.append(graph.graph.get_attr(f"{name}.{kind}"))
    return nodes


def replace_by_depthwise(
    graph: GraphModule, node: Node, source: Node, scale: Tensor, shift: Tensor, name: str
) -> None:
    """Put scale * source + shift, (channels,) each, channel by channel of (batch, channels, height,
    width), in the place of `node`."""
    import torch

    weight, bias = _constants(graph, node, name, scale.reshape(-1, 1, 1, 1), shift)
    with graph.graph.inserting_before(node):
        conv = graph.graph.call_function(
            torch.ops.aten.conv2d.default,
            (source, weight, bias, [1, 1], [0, 0], [1, 1], scale.numel()),
        )
    conv.meta = dict(node.meta)
    node.replace_all_uses_with(conv)


def replace_by_linear(
    graph: GraphModule, node: Node, source: Node, scale: Tensor, shift: Tensor, name: str
) -> None:
    """Put scale * source + shift, feature by feature of (batch, features), in the place of
    `node`."""
    import torch

    weight, bias = _constants(graph, node, name, torch.diag(scale), shift)
    with graph.graph.inserting_before(node):
        linear = graph.graph.call_function(torch.ops.aten.linear.default, (source, weight, bias))
    linear.meta = dict(node.meta)
    node.replace_all_uses_with(linear)


def replace_by_product_and_sum(
    graph: GraphModule, node: Node, source: Node, scale: Tensor, shift: Tensor, name: str
) -> None:
    """Put scale * source + shift, (channels,) each, along the second axis of any number, in the
    place of `node`."""
    import torch

    columns = (1, -1, *[1] * (node.meta["val"].dim() - 2))
    weight, bias = _constants(graph, node, name, scale.reshape(columns), shift.reshape(columns))
    with graph.graph.inserting_before(node):
        product = graph.graph.call_function(torch.ops.aten.mul.Tensor, (source, weight))
        total = graph.graph.call_function(torch.ops.aten.add.Tensor, (product, bias))
    product.meta = total.meta = dict(node.meta)
    node.replace_all_uses_with(total)
