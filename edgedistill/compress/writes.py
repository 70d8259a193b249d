"""Writes into a part of a tensor (`x[:, 0] = y`) as a graph without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedistill.compress.surgery import argument
from edgedistill.program import Program, export, graph_of

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_PARTS = (
    "aten.slice.", "aten.select.", "aten.view.", "aten.unsqueeze.", "aten.squeeze.",
    "aten.permute.", "aten.transpose.", "aten.narrow.", "aten.chunk.", "aten.split",
    "aten.unbind.", "aten.expand.", "aten.alias.", "aten.unfold.", "aten.diagonal.",
)  # fmt: skip
"""What gives a view of what it is given."""
_NORM = "aten._native_batch_norm_legit_no_training."


def without_writes(program: Program) -> Program:
    """The same program, or where something is written into a tensor that is also read as a whole
    or in part, one in which torch.export has made every write a new tensor. What it scatters
    becomes a concatenation, which every runtime has."""
    if not any(_writes_into_a_part(node) for node in program.exported.graph.nodes):
        return program
    functional = Program(program.exported.run_decompositions({}), program.signature)
    graph = graph_of(functional)
    for node in list(graph.graph.nodes):
        if str(node.target).startswith(_NORM):
            _as_a_module_writes_it(graph, node)
        elif str(node.target) == "aten.copy.default":
            _replace(graph, node, _copied(graph, node))
        elif str(node.target) == "aten.select_scatter.default":
            _replace(graph, node, _with_one(graph, node))
        elif str(node.target) == "aten.slice_scatter.default" and argument(node, 5, 1) == 1:
            _replace(graph, node, _with_several(graph, node))
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return export(graph, program.signature)


def _writes_into_a_part(node: Node) -> bool:
    target: Any = node.target
    if node.op != "call_function" or not getattr(getattr(target, "_schema", None), "is_mutable", 0):
        return False
    written: Any = node.args[0]
    return any(str(each.target).startswith(_PARTS) for each in (written, *written.users))


def _as_a_module_writes_it(graph: GraphModule, node: Node) -> None:
    """Batch norm with statistics that it was given, by the operator that a module exports to."""
    import torch

    x, weight, bias, mean, variance, momentum, epsilon = node.args
    taken = (x, weight, bias, mean, variance, False, momentum, epsilon, False)
    with graph.graph.inserting_before(node):
        norm = graph.graph.call_function(torch.ops.aten.batch_norm.default, taken)
    norm.meta = {**node.meta, "val": node.meta["val"][0]}
    for user in list(node.users):  # its first result; the others are empty where nothing is trained
        user.replace_all_uses_with(norm)
        graph.graph.erase_node(user)
    graph.graph.erase_node(node)


def _replace(graph: GraphModule, node: Node, other: Node) -> None:
    other.meta.setdefault("val", node.meta["val"])
    node.replace_all_uses_with(other)
    graph.graph.erase_node(node)


def _copied(graph: GraphModule, node: Node) -> Node:
    """What a copy wrote, as large as what it wrote over."""
    import torch

    over, source = node.args[:2]
    assert isinstance(over, torch.fx.Node) and isinstance(source, torch.fx.Node)
    if over.meta["val"].shape == source.meta["val"].shape:
        return source
    return _call(graph, node, torch.ops.aten.expand_as.default, source, over)


def _with_one(graph: GraphModule, node: Node) -> Node:
    """A tensor with one place of an axis replaced."""
    import torch

    whole, part = node.args[:2]
    assert isinstance(whole, torch.fx.Node)
    axis = argument(node, 2, 0)
    begin = argument(node, 3, 0) % whole.meta["val"].shape[axis]
    thick = _call(graph, node, torch.ops.aten.unsqueeze.default, part, axis)
    return _joined(graph, node, thick, axis, begin, begin + 1)


def _with_several(graph: GraphModule, node: Node) -> Node:
    """A tensor with a run of places of an axis replaced."""
    import torch

    whole, part = node.args[:2]
    assert isinstance(whole, torch.fx.Node) and isinstance(part, torch.fx.Node)
    axis = argument(node, 2, 0)
    size = whole.meta["val"].shape[axis]
    if not isinstance(size, int):
        return part  # of the batch nothing but the whole can be meant
    begin, end, _ = slice(argument(node, 3, None), argument(node, 4, None)).indices(size)
    return _joined(graph, node, part, axis, begin, end)


def _joined(graph: GraphModule, node: Node, part: Node, axis: int, begin: int, end: int) -> Node:
    """What lies before, the new part, what lies after."""
    import torch

    slicing, whole = torch.ops.aten.slice.Tensor, node.args[0]
    assert isinstance(whole, torch.fx.Node)
    size = whole.meta["val"].shape[axis]
    pieces = [part]
    if begin > 0:
        pieces.insert(0, _call(graph, node, slicing, whole, axis, 0, begin))
    if end < size:
        pieces.append(_call(graph, node, slicing, whole, axis, end, size))
    if len(pieces) == 1:
        return part
    return _call(graph, node, torch.ops.aten.cat.default, pieces, axis)


def _call(graph: GraphModule, node: Node, target: Any, *arguments: Any) -> Node:
    with graph.graph.inserting_before(node):
        return graph.graph.call_function(target, arguments)
