"""Constants of what stays in float, in half precision: a file can hold them in half the bytes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import torch

from edgedistill.compress.operators import is_kept
from edgedistill.program import value

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_WORTH = 400
"""Values. Of fewer, a file would gain less than it takes to say how to unpack them."""


def halve_constants(graph: GraphModule, keep_float: Collection[str]) -> None:
    """Round the larger constants that only layers and parts kept in float read, in place, as
    float16 has them: relatively by 1/2048 at most, far less than the step of the integers behind
    them. What is learned stays as it is, and what float16 cannot hold."""
    with torch.no_grad():
        for node in graph.graph.nodes:
            found = value(graph, node)
            if found is None or found.dtype != torch.float32 or found.numel() < _WORTH:
                continue
            half = found.half().float()
            fits = bool(half.isfinite().all())
            if fits and not _is_learned(graph, node) and _only_for(node, keep_float):
                found.copy_(half)


def _is_learned(graph: GraphModule, node: Node) -> bool:
    return str(node.target) in dict(graph.named_parameters())


def _only_for(node: Node, keep_float: Collection[str]) -> bool:
    return bool(node.users) and all(is_kept(user, keep_float) for user in node.users)
