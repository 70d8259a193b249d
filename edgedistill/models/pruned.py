"""Pruning steps as plain data: recorded while pruning, replayed on a fresh build.

Channels depend on each other across layers; torch-pruning's dependency graph finds which (Fang et
al. 2023, "DepGraph"). A step is `[layer's name, whether its outputs were cut, channel numbers]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch_pruning
    from torch import Tensor, nn

Step = tuple[str, bool, list[int]]


def dependency_graph(module: nn.Module, example: Tensor) -> torch_pruning.DependencyGraph:
    """Which channels stand and fall together in `module`, traced on `example` (1, channels,
    height, width). The module is left in evaluation mode."""
    import torch
    import torch_pruning

    with torch.enable_grad():
        return torch_pruning.DependencyGraph().build_dependency(module.eval(), example)


def fixed_width(module: nn.Module) -> list[nn.Module]:
    """Layers that the dependency graph would get wrong; give them to a pruner as `ignored_layers`.

    A family names its own with a method `fixed_width`.
    """
    found: list[nn.Module] = []
    for part in module.modules():
        own: Any = getattr(part, "fixed_width", None)
        if own is not None:
            found += own()
    return found


def steps(history: list[Any]) -> list[Step]:
    """torch-pruning's `pruning_history()` as JSON values."""
    return [
        (str(name), bool(outputs), [int(index) for index in indices])
        for name, outputs, indices in history
    ]


def replay(module: nn.Module, recorded: list[Any], channels: int, image_size: int) -> None:
    """Cut `module`, as built, in place to the shape that the recorded steps left."""
    import torch

    graph = dependency_graph(module, torch.zeros(1, channels, image_size, image_size))
    graph.load_pruning_history(steps(recorded))
