"""Which of a graph's tensors hold infinities, or numbers that stand for them, as masks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgedistill.compress.operators import SAME_SCALE, UNBOUNDED, is_unbounded
from edgedistill.program import value

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_FILLS = {"masked_fill", "where", "full", "full_like", "new_full", "scalar_tensor"}
_PASSES = {"add", "sub", "expand", "repeat", "select", "index", "to", "_to_copy", "roll", "stack"}
"""With those that only move values, what an infinity goes through."""


def masked(graph: GraphModule) -> set[Node]:
    """The nodes whose tensors may hold such, up to whatever makes finite numbers of them: a
    softmax, a maximum, a layer with weights. A scale that held -1e9 would hold nothing else."""
    found: set[Node] = set()
    for node in graph.graph.nodes:
        constant = value(graph, node)
        if constant is not None:
            begins = constant.is_floating_point() and not bool((constant.abs() < UNBOUNDED).all())
        else:
            kind = _kind(node)
            begins = kind in _FILLS and any(map(is_unbounded, node.args))
            passes = kind in _FILLS | _PASSES or _moves(node)
            begins = begins or (passes and not found.isdisjoint(node.all_input_nodes))
        if begins:
            found.add(node)
    return found


def _kind(node: Node) -> str:
    parts = str(node.target).split(".")
    return parts[1] if parts[0] == "aten" and len(parts) > 1 else ""


def _moves(node: Node) -> bool:
    return str(node.target) in SAME_SCALE and "pool" not in str(node.target)
