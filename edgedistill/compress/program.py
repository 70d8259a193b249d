"""Exported programs: how they are made, read and looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedistill.signature import Inputs, TensorSpec, blank

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram
    from torch.fx import GraphModule


def export(module: nn.Module, inputs: Inputs) -> ExportedProgram:
    """`torch.export` of a module of these inputs, a size of None dynamic: each batch begins one.
    The same module gives the same bytes when saved."""
    import torch

    for weight in module.parameters():
        weight.data = weight.data.contiguous()  # what training left in channels-last order
    with torch.no_grad():
        program = torch.export.export(
            module, blank(inputs, batch=2), dynamic_shapes=dynamic_shapes(inputs)
        )
    for node in program.graph.nodes:
        # Where a node came from is told with memory addresses, which differ from run to run.
        node.meta.pop("from_node", None)
    return program


def graph_of(program: ExportedProgram) -> GraphModule:
    """The program as a graph module, its weights in place, for any batch size."""
    import torch

    graph = program.module(check_guards=False)
    assert isinstance(graph, torch.fx.GraphModule)
    return graph


def dynamic_shapes(inputs: Inputs) -> Any:
    """The sizes of None as one dimension, the batch, as `torch.export` takes them. A module takes
    its inputs one by one, so that a graph's own `*args` is a tuple of them."""
    import torch

    batch = torch.export.Dim("batch", min=1)
    return tuple(
        {axis: batch for axis, size in enumerate(each.shape) if size is None} for each in inputs
    )


def inputs_of(program: ExportedProgram) -> Inputs:
    """What a program takes, named as its graph names it."""
    values = {
        node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"
    }
    return tuple(
        TensorSpec(
            str(name),
            tuple(size if isinstance(size, int) else None for size in values[name].shape),
            "NCHW" if values[name].dim() == 4 else "",
            str(values[name].dtype).removeprefix("torch."),
        )
        for name in program.graph_signature.user_inputs
    )


def value(graph: GraphModule, node: Any) -> Tensor | None:
    """The parameter or buffer that a `get_attr` node reads, else None."""
    import torch

    if not isinstance(node, torch.fx.Node) or node.op != "get_attr":
        return None
    found: Any = graph
    for part in str(node.target).split("."):
        found = getattr(found, part)
    return found.detach() if isinstance(found, torch.Tensor) else None
