"""Programs: a torch.export graph and its signature, how they are made and looked into."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgedistill.signature import Inputs, Signature, TensorSpec, blank

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import Dim, ExportedProgram
    from torch.fx import GraphModule, Node

MAIN = "main"
"""The program that is trained, and whose answer the task judges."""


@dataclass(frozen=True, eq=False)
class Program:
    """One graph of a model. What it takes and gives is in the signature's order."""

    exported: ExportedProgram
    signature: Signature


def export(module: nn.Module, signature: Signature | Inputs) -> Program:
    """`torch.export` of a module, a size of None dynamic: each batch begins one. The same module
    gives the same bytes when saved.

    signature: the inputs alone stand for a module whose only output is `logits`.
    """
    import torch

    for weight in module.parameters():
        weight.data = weight.data.contiguous()  # what training left in channels-last order
    inputs = signature.inputs if isinstance(signature, Signature) else signature
    shapes: Any = _dynamic_shapes(inputs)
    if _takes_any(module):
        shapes = (shapes,)
    with torch.no_grad():
        exported = torch.export.export(module, blank(inputs, batch=2), dynamic_shapes=shapes)
    for node in exported.graph.nodes:
        # Where a node came from is told with memory addresses, which differ from run to run.
        node.meta.pop("from_node", None)
    if not isinstance(signature, Signature):
        signature = Signature(inputs, (_logits(exported),))
    return Program(exported, signature)


_ORIGIN = "origin"


def note_origins(graph: GraphModule, signature: Signature, wrapper: str = "") -> None:
    """Note at each operator the module that calls it, by its path without `wrapper`, and which of
    that module's operators of its kind it is; at each input that is no state, which one. The note
    outlives exports and files, so that what one of a model's programs computes is found in another.

    graph: as `export` left it, or changed since with its nodes' `meta` kept; wrapper: the name
    under which a module around the model holds it.
    """
    counts: Counter[str] = Counter()
    for node in graph.graph.nodes:
        if node.op == "call_function" and str(node.target).startswith("aten."):
            kind = f"{_caller(node, wrapper)}/{str(node.target).split('.')[1]}"
            note_origin(node, f"{kind}/{counts[kind]}")
            counts[kind] += 1
    inputs = zip(signature.inputs, placeholders(graph), strict=True)
    fresh = [node for spec, node in inputs if spec in signature.fresh]
    for place, node in enumerate(fresh):
        note_origin(node, f"/input/{place}")


def _caller(node: Node, wrapper: str) -> str:
    """The path of the innermost module that a node was traced in; empty for the outermost. The
    second call of a module is its path with `@1`."""
    stack: Any = list((node.meta.get("nn_module_stack") or {}).values())
    path = re.sub(r"@\d+", "", str(stack[-1][0]) if stack else "")
    return "" if path == wrapper else path.removeprefix(f"{wrapper}." if wrapper else "")


def note_origin(node: Node, place: str) -> None:
    """Note `module/operator/count` at a node, where exports keep it."""
    node.meta["custom"] = {_ORIGIN: place}


def origin(node: Node) -> str | None:
    """`module/operator/count`, as `note_origins` left it; None for what a later change put in."""
    found: str | None = (node.meta.get("custom") or {}).get(_ORIGIN)
    return found


def module_of(node: Node) -> str:
    """The path of the module that a node came from; empty for the model itself, or unknown."""
    return (origin(node) or "//").rsplit("/", 2)[0]


def part_of(node: Node, parts: Collection[str]) -> str:
    """Which of these modules, by their paths, a node came from; empty for none."""
    path = f"{module_of(node)}."
    return next((part for part in parts if path.startswith(f"{part}.")), "")


def _takes_any(module: nn.Module) -> bool:
    kinds = [each.kind for each in inspect.signature(module.forward).parameters.values()]
    return kinds == [inspect.Parameter.VAR_POSITIONAL]


def _logits(exported: ExportedProgram) -> TensorSpec:
    values = {node.name: node.meta["val"] for node in exported.graph.nodes if "val" in node.meta}
    (name,) = exported.graph_signature.user_outputs
    shape = tuple(size if isinstance(size, int) else None for size in values[name].shape)
    return TensorSpec("logits", shape, "NC" if len(shape) == 2 else "")


def _dynamic_shapes(inputs: Inputs) -> tuple[dict[int, Dim], ...]:
    """The sizes of None as one dimension, the batch, as `torch.export` takes them."""
    import torch

    batch = torch.export.Dim("batch", min=1)
    return tuple(
        {axis: batch for axis, size in enumerate(each.shape) if size is None} for each in inputs
    )


def graph_of(program: Program) -> GraphModule:
    """The program as a graph module, its weights in place, for any batch size; its attribute
    `signature` says which output is which."""
    import torch

    graph = program.exported.module(check_guards=False)
    assert isinstance(graph, torch.fx.GraphModule)
    graph.signature = program.signature  # type: ignore[assignment]
    return graph


def placeholders(graph: GraphModule) -> list[Node]:
    """A graph's inputs, in the order in which it is called with them."""
    return [node for node in graph.graph.nodes if node.op == "placeholder"]


def results(graph: GraphModule) -> list[Node]:
    """The nodes that a graph gives, in the order of its outputs."""
    (output,) = (node for node in graph.graph.nodes if node.op == "output")
    given: Any = output.args[0]
    return list(given) if isinstance(given, (tuple, list)) else [given]


def answers(given: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What a call of a graph or a module gave, as a tuple of its outputs (batch, ...)."""
    import torch

    return (given,) if isinstance(given, torch.Tensor) else tuple(given)


def rollout(
    call: Callable[..., Any], signature: Signature, pieces: Iterable[tuple[Tensor, ...]]
) -> Iterator[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
    """Run a stateful program over a sequence, from states of zero: (inputs, outputs) of each step.

    call: its graph; pieces: for each step the inputs that are no state, in their order.
    """
    states: dict[str, Tensor] = {}
    fed_back = set(signature.state.values())
    for piece in pieces:
        if not states:
            zeros = zip(signature.inputs, blank(signature.inputs, len(piece[0])), strict=True)
            states = {spec.name: zero for spec, zero in zeros if spec.name in fed_back}
        fresh = iter(piece)
        given = tuple(
            states[spec.name] if spec.name in fed_back else next(fresh) for spec in signature.inputs
        )
        outputs = answers(call(*given))
        yield given, outputs
        for spec, output in zip(signature.outputs, outputs, strict=True):
            if spec.name in signature.state:
                states[signature.state[spec.name]] = output


def value(graph: GraphModule, node: Any) -> Tensor | None:
    """The parameter or buffer that a `get_attr` node reads, else None."""
    import torch

    if not isinstance(node, torch.fx.Node) or node.op != "get_attr":
        return None
    found: Any = graph
    for part in str(node.target).split("."):
        found = getattr(found, part)
    return found.detach() if isinstance(found, torch.Tensor) else None


def forget_unread(graph: GraphModule) -> None:
    """Take what nothing computes with out of a changed graph, and out of it the parameters and
    buffers that it reads no more, which an export would keep."""
    graph.graph.eliminate_dead_code()
    read = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    held = [*graph.named_parameters(), *graph.named_buffers()]
    for name in [name for name, _ in held if name not in read]:
        owner, _, last = name.rpartition(".")
        delattr(graph.get_submodule(owner), last)
    graph.recompile()
