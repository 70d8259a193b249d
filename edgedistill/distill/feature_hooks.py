"""Listening to a model's inner layers while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from edgedistill.errors import UserError, nearest
from edgedistill.losses.base import EMBEDDING
from edgedistill.models.normalized import Normalized
from edgedistill.models.outer import output_layers

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


@dataclass
class FeatureHooks:
    """Outputs of a model's layers by name, as its last forward pass left them."""

    seen: dict[str, Tensor] = field(default_factory=dict)
    _handles: list[RemovableHandle] = field(default_factory=list)

    def on(
        self, model: nn.Module, names: Iterable[str], side: str, example: tuple[Tensor, ...]
    ) -> FeatureHooks:
        """Listen to these layers, or to `EMBEDDING`, which is found by a look at how `example`, the
        model's inputs (samples, ...), is answered.

        Raises UserError: there is no such layer.
        """
        modules = named(model)
        for name in set(names):
            if name == EMBEDDING:
                last = _last_layer(model, side, tuple(each[:1] for each in example))
                self._handles.append(last.register_forward_hook(self._before))
            elif name not in modules:
                raise UserError(f"the {side} has no layer `{name}`", nearest(name, list(modules)))
            else:
                self._handles.append(modules[name].register_forward_hook(self._after(name)))
        return self

    def _before(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        seen = inputs[0]
        is_map = isinstance(module, nn.Conv2d)
        self.seen[EMBEDDING] = seen.mean((2, 3)) if is_map else seen.flatten(1)

    def _after(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self.seen[name] = output

        return keep

    def close(self) -> None:
        """Stop listening; what was seen stays."""
        for handle in self._handles:
            handle.remove()


def named(model: nn.Module) -> dict[str, nn.Module]:
    """A model's layers by the names that its own class gives them."""
    inner = model.model if isinstance(model, Normalized) else model
    return {name: module for name, module in inner.named_modules() if name}


def last_layer(model: nn.Module, example: tuple[Tensor, ...]) -> nn.Module | None:
    """The linear layer or convolution that gives the answer to `example`, inputs (samples, ...);
    None where something else does."""
    last = map(model.get_submodule, output_layers(model, *example))
    return next((each for each in last if isinstance(each, nn.Linear | nn.Conv2d)), None)


def _last_layer(model: nn.Module, side: str, example: tuple[Tensor, ...]) -> nn.Module:
    found = last_layer(model, example)
    if found is None:
        raise UserError(
            f"the {side} has no linear layer whose input could be its embedding",
            "compare logits instead (`of: logits`)",
        )
    return found


def shapes(model: nn.Module, example: tuple[Tensor, ...]) -> dict[str, torch.Size]:
    """Output shape of every layer that gives one tensor for `example`, inputs (samples, ...), in
    the order in which they finish."""
    found: dict[str, torch.Size] = {}
    handles = []

    def listen(name: str) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor):
                found.pop(name, None)
                found[name] = output.shape

        return keep

    for name, module in named(model).items():
        handles.append(module.register_forward_hook(listen(name)))
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(*example)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return found
