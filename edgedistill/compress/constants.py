"""What a graph computes of its parameters alone is computed once, and becomes a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedistill.program import value

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import GraphModule, Node
    from torch.fx.node import Argument


def fold_constants(graph: GraphModule) -> None:
    """Standardized, normalized and generated weights, positions and masks become tensors.

    A weight that is computed keeps the name of the layer whose weight it is.
    """
    import torch

    known: dict[Node, Argument] = {}
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            known[node] = value(graph, node)
        elif _is_constant(node, known):
            with torch.no_grad():
                args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
                known[node] = node.target(*args, **kwargs)
    for node, found in list(known.items()):
        used = any(user not in known for user in node.users)
        if used and node.op != "get_attr" and isinstance(found, torch.Tensor):
            name = _name(graph, node)
            _keep(graph, name, found.detach().clone().contiguous())
            with graph.graph.inserting_before(node):
                kept = graph.graph.get_attr(name)
            kept.meta = dict(node.meta)
            node.replace_all_uses_with(kept)
    graph.graph.eliminate_dead_code()


def _is_constant(node: Node, known: dict[Node, Argument]) -> bool:
    import torch

    if node.op != "call_function" or not all(each in known for each in node.all_input_nodes):
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return bool(node.all_input_nodes)  # a part of a tuple
    writes = node.target._schema.is_mutable
    return not writes and torch.Tag.nondeterministic_seeded not in node.target.tags


def _name(graph: GraphModule, node: Node) -> str:
    """After the module whose parameters `node` is computed of, else after the node."""
    sources = [node]
    for each in sources:
        sources += [source for source in each.all_input_nodes if source not in sources]
    places = sorted(str(each.target) for each in sources if each.op == "get_attr")
    if not places:
        return f"constant_{node.name}"
    owner, parametrized, _ = places[0].partition(".parametrizations.")
    if not parametrized:
        owner = owner.rpartition(".")[0]
    name = ".".join(filter(None, (owner, "weight" if _is_weight(node) else node.name)))
    return f"{name}_{node.name}" if _taken(graph, name, sources) else name


def _is_weight(node: Node) -> bool:
    from edgedistill.compress.operators import WEIGHTED

    return any(str(user.target) in WEIGHTED and user.args[1] is node for user in node.users)


def _taken(graph: GraphModule, name: str, sources: list[Node]) -> bool:
    """Whether a tensor of that name is still read by others."""
    return any(
        node.op == "get_attr"
        and str(node.target) == name
        and any(user not in sources for user in node.users)
        for node in graph.graph.nodes
    )


def _keep(graph: GraphModule, name: str, tensor: Tensor) -> None:
    import torch

    *parents, last = name.split(".")
    place: Any = graph
    for part in parents:
        if part not in dict(place.named_children()):
            place.add_module(part, torch.nn.Module())
        place = getattr(place, part)
    if hasattr(place, last):
        delattr(place, last)
    if tensor.is_floating_point():
        place.register_parameter(last, torch.nn.Parameter(tensor))
    else:
        place.register_buffer(last, tensor)
