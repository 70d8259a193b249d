"""Pruning steps as plain data: recorded while pruning, replayed on a fresh build.

Channels depend on each other across layers; torch-pruning's dependency graph finds which (Fang et
al. 2023, "DepGraph"). A step is `[layer's name, whether its outputs were cut, channel numbers]`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from edgedistill.errors import blaming
from edgedistill.signature import Inputs, blank

if TYPE_CHECKING:
    import torch_pruning
    from torch import Tensor, nn

Step = tuple[str, bool, list[int]]


def understanding() -> AbstractContextManager[None]:
    """Around all of torch-pruning. Raises UserError: it does not understand the model."""
    return blaming(
        "pruning: torch-pruning does not understand this model",
        "leave `stages.prune` out, or give the model a method `fixed_width` that names the "
        "layers whose channels must stay",
    )


def dependency_graph(module: nn.Module, example: Tensor) -> torch_pruning.DependencyGraph:
    """Which channels stand and fall together in `module`, traced on `example` (1, channels,
    height, width). The module is left in evaluation mode. A recurrent layer can lose inputs, and
    keeps its outputs."""
    import torch
    import torch_pruning

    from edgedistill.models.recurrent import opaque, pruners, recurrent

    own = dropping(module)
    with torch.enable_grad(), opaque([*recurrent(module), *own]):
        return torch_pruning.DependencyGraph().build_dependency(
            module.eval(), example, verbose=False,
            customized_pruners={**pruners(module), **_droppers(own)},
        )  # fmt: skip


def dropping(module: nn.Module) -> list[Any]:
    """The layers in `module` that give the channels they read, and know themselves how to lose some
    of them: by a method `drop_channels`, their number in `channels`."""
    return [each for each in module.modules() if hasattr(each, "drop_channels")]


def _droppers(layers: list[Any]) -> dict[type[nn.Module], Any]:
    from torch_pruning.pruner.function import BasePruningFunc

    class Dropper(BasePruningFunc):  # type: ignore[misc]
        def prune_out_channels(self, layer: Any, idxs: list[int]) -> Any:
            layer.drop_channels(idxs)
            return layer

        prune_in_channels = prune_out_channels

        def get_out_channels(self, layer: Any) -> int:
            return int(layer.channels)

        get_in_channels = get_out_channels

    return {type(layer): Dropper() for layer in layers}


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


def replay(module: nn.Module, recorded: list[Any], inputs: Inputs) -> None:
    """Cut `module`, as built, in place to the shape that the recorded steps left."""
    graph = dependency_graph(module, *blank(inputs))
    graph.load_pruning_history(steps(recorded))
