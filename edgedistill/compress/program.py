"""Exported programs: how they are made, read and looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram
    from torch.fx import GraphModule


def export(module: nn.Module, channels: int, image_size: int) -> ExportedProgram:
    """`torch.export` of a module on pixels (batch, channels, image_size, image_size), with a
    dynamic batch. The same module gives the same bytes when saved."""
    import torch

    for weight in module.parameters():
        weight.data = weight.data.contiguous()  # what training left in channels-last order
    pixels = torch.zeros(2, channels, image_size, image_size)
    batch = {0: torch.export.Dim("batch", min=1)}
    with torch.no_grad():
        program = torch.export.export(module, (pixels,), dynamic_shapes=(batch,))
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


def image_of(program: ExportedProgram) -> tuple[int, int]:
    """Channels and size of the pixels that a program takes."""
    (name,) = program.graph_signature.user_inputs
    pixels = next(node for node in program.graph.nodes if node.name == name)
    _, channels, size, _ = pixels.meta["val"].shape
    return int(channels), int(size)


def value(graph: GraphModule, node: Any) -> Tensor | None:
    """The parameter or buffer that a `get_attr` node reads, else None."""
    import torch

    if not isinstance(node, torch.fx.Node) or node.op != "get_attr":
        return None
    found: Any = graph
    for part in str(node.target).split("."):
        found = getattr(found, part)
    return found.detach() if isinstance(found, torch.Tensor) else None
