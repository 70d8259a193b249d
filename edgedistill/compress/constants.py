"""What a graph computes of its parameters alone is computed once, and becomes a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedistill.program import value

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import GraphModule, Node
    from torch.fx.node import Argument


_FILLED = {"zeros": 0, "zeros_like": 0, "new_zeros": 0, "ones": 1, "ones_like": 1, "new_ones": 1}
_FILLED_WITH = {"full": 1, "full_like": 1, "new_full": 2}
"""Operators that make a tensor of one value, and that value, or which argument it is."""
_BROADCASTING = ("add", "sub", "mul", "div")
_SAMPLES = 2
"""What is the same for every sample is computed of so many."""


def fold_constants(graph: GraphModule) -> None:
    """Standardized, normalized and generated weights, positions and masks become tensors, and so
    does what is the same for every sample, as a state of zeros and what is computed of it.

    A weight that is computed keeps the name of the layer whose weight it is.
    """
    import torch

    known: dict[Node, Argument] = {}
    by_sample: set[Node] = set()
    for node in graph.graph.nodes:
        filled = _filled(node)
        if node.op == "get_attr":
            known[node] = value(graph, node)
        elif filled is not None:
            known[node] = filled
            by_sample.add(node)
        elif _is_constant(node, known):
            with torch.no_grad():
                args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
                known[node] = node.target(*args, **kwargs)
            if not by_sample.isdisjoint(node.all_input_nodes):
                by_sample.add(node)
    for node, found in list(known.items()):
        used = any(user not in known for user in node.users)
        if not used or node.op == "get_attr" or not isinstance(found, torch.Tensor):
            continue
        if node not in by_sample:
            _replace(graph, node, found)
        elif _same_for_all(node, found):
            _replace(graph, node, found[:1], expand=True)
    graph.graph.eliminate_dead_code()


def _filled(node: Node) -> Tensor | None:
    """What a node makes for each sample of nothing but a number, for a few samples."""
    import torch

    name = str(node.target).removeprefix("aten.").split(".")[0]
    made = node.meta.get("val")
    if node.op != "call_function" or not isinstance(made, torch.Tensor) or not made.dim():
        return None
    fill = _FILLED.get(name)
    if name in _FILLED_WITH:
        fill = node.args[_FILLED_WITH[name]]  # type: ignore[assignment]
    if not isinstance(fill, int | float) or not _is_by_sample(made):
        return None
    return torch.full((_SAMPLES, *made.shape[1:]), fill, dtype=made.dtype)


def _is_by_sample(made: Tensor) -> bool:
    """Whether a tensor's first axis alone is the batch."""
    first, *rest = made.shape
    return not isinstance(first, int) and all(isinstance(size, int) for size in rest)


def _same_for_all(node: Node, found: Tensor) -> bool:
    import torch

    fits = _is_by_sample(node.meta["val"]) and len(found) == _SAMPLES
    return fits and bool(torch.equal(found[0], found[-1]))


def _replace(graph: GraphModule, node: Node, found: Tensor, expand: bool = False) -> None:
    """Read a stored tensor in a node's place; where a reader wants one for each sample, as many."""
    import torch

    name = _name(graph, node)
    _keep(graph, name, found.detach().clone().contiguous(), _is_learned(graph, node))
    with graph.graph.inserting_before(node):
        kept = graph.graph.get_attr(name)
    kept.meta = dict(node.meta)
    wants = [user for user in node.users if expand and not _broadcasts(user)]
    node.replace_all_uses_with(kept, lambda user: user not in wants)
    if wants:
        source = next(each for each in graph.graph.nodes if each.op == "placeholder")
        with graph.graph.inserting_before(node):
            batch = graph.graph.call_function(torch.ops.aten.sym_size.int, (source, 0))
            batch.meta = {"val": source.meta["val"].shape[0]}
            sizes = [batch, *found.shape[1:]]
            each = graph.graph.call_function(torch.ops.aten.expand.default, (kept, sizes))
            each.meta = dict(node.meta)
        node.replace_all_uses_with(each)


def _broadcasts(node: Node) -> bool:
    name = str(node.target).removeprefix("aten.").split(".")[0]
    return name in _BROADCASTING and len(node.all_input_nodes) > 1


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
    sources = _sources(node)
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


def _is_learned(graph: GraphModule, node: Node) -> bool:
    """Whether a parameter is among what a node is computed of."""
    learned = dict(graph.named_parameters())
    return any(str(each.target) in learned for each in _sources(node) if each.op == "get_attr")


def _sources(node: Node) -> list[Node]:
    """A node and all that it is computed of."""
    sources = [node]
    for each in sources:
        sources += [source for source in each.all_input_nodes if source not in sources]
    return sources


def _keep(graph: GraphModule, name: str, tensor: Tensor, learned: bool) -> None:
    import torch

    *parents, last = name.split(".")
    place: Any = graph
    for part in parents:
        if part not in dict(place.named_children()):
            place.add_module(part, torch.nn.Module())
        place = getattr(place, part)
    if hasattr(place, last):
        delattr(place, last)
    if learned and tensor.is_floating_point():
        place.register_parameter(last, torch.nn.Parameter(tensor))
    else:
        place.register_buffer(last, tensor)
