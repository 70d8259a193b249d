"""Recurrent layers as torch-pruning should see them: one operator, whose inputs can be cut.

Traced through, such a layer is hundreds of splits and sums whose channels it confuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from torch_pruning.pruner.function import BasePruningFunc


def recurrent(module: nn.Module) -> list[Any]:
    """The recurrent layers in `module`, and single cells."""
    from torch.nn.modules.rnn import RNNBase, RNNCellBase

    return [each for each in module.modules() if isinstance(each, RNNBase | RNNCellBase)]


@contextmanager
def opaque(layers: Sequence[Any]) -> Iterator[None]:
    """Let autograd see each of these layers, which have weights, as one function of what it
    reads."""
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    class Whole(torch.autograd.Function):
        """Flat tensors to flat tensors; for tracing alone, nothing flows back."""

        @staticmethod
        def forward(ctx: Any, run: Any, *tensors: Any) -> Any:
            return tuple(each.clone() for each in run(tensors))

        @staticmethod
        def backward(ctx: Any, *_: Any) -> Any:
            raise NotImplementedError

    def forward(layer: Any, inner: Any, *args: Any, **kwargs: Any) -> Any:
        flat, shape = tree_flatten((args, kwargs))
        places = [at for at, each in enumerate(flat) if isinstance(each, torch.Tensor)]
        given: list[Any] = []

        def run(tensors: Sequence[Any]) -> list[Any]:
            for at, tensor in zip(places, tensors, strict=False):
                flat[at] = tensor
            positional, named = tree_unflatten(flat, shape)
            found, spec = tree_flatten(inner(*positional, **named))
            given.append(spec)
            return list(found)

        # With a weight among its inputs, what it gives is part of the graph in any case.
        weight = next(layer.parameters())
        found = Whole.apply(partial(_without_gradient, run), *(flat[at] for at in places), weight)
        return tree_unflatten(list(found), given[0])

    for layer in layers:
        layer.forward = partial(forward, layer, layer.forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _without_gradient(run: Any, tensors: Any) -> Any:
    import torch

    with torch.no_grad():
        return run(tensors)


def pruners(module: nn.Module) -> dict[type[nn.Module], BasePruningFunc]:
    """What takes channels from the recurrent layers in `module`, by their types."""
    import torch
    from torch.nn.modules.rnn import RNNBase
    from torch_pruning.pruner.function import BasePruningFunc

    class Inputs(BasePruningFunc):  # type: ignore[misc]
        def prune_in_channels(self, layer: Any, idxs: Sequence[int]) -> Any:
            gone = set(idxs)
            kept = torch.tensor([at for at in range(layer.input_size) if at not in gone])
            for name, value in list(layer.named_parameters()):
                if name.startswith("weight_ih") and (
                    "_l0" in name or not isinstance(layer, RNNBase)
                ):
                    setattr(layer, name, self._prune_parameter_and_grad(value, kept.tolist(), 1))
            layer.input_size = len(kept)
            return layer

        def prune_out_channels(self, layer: Any, idxs: Sequence[int]) -> Any:
            raise ValueError(f"a {type(layer).__name__} keeps its outputs")

        def get_out_channels(self, layer: Any) -> int:
            size = getattr(layer, "proj_size", 0) or layer.hidden_size
            return int(size * (2 if getattr(layer, "bidirectional", False) else 1))

        def get_in_channels(self, layer: Any) -> int:
            return int(layer.input_size)

    return {type(layer): Inputs() for layer in recurrent(module)}
