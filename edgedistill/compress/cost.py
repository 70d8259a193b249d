"""What one inference of a model costs, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Cost:
    """Of one inference: multiply-accumulates and parameters of convolutions and linear layers."""

    macs: float
    params: float

    def within(self, goal: Cost) -> bool:
        return self.macs <= goal.macs and self.params <= goal.params


@dataclass
class Layer:
    """A convolution or linear layer while channels are being taken from it."""

    outputs: int
    inputs: int
    per_pair: float
    """Kernel size: parameters for each pair of output and input channel."""
    positions: int
    """Output positions: how often each parameter is used."""
    depthwise: bool

    @property
    def params(self) -> float:
        return self.outputs * (1 if self.depthwise else self.inputs) * self.per_pair


def measure_cost(model: nn.Module, example: Tensor) -> Cost:
    """Cost of one inference on `example` (1, channels, height, width)."""
    return cost_of(layers_of(model, example).values())


def cost_of(layers: Iterable[Layer]) -> Cost:
    found = list(layers)
    return Cost(sum(x.params * x.positions for x in found), sum(x.params for x in found))


def layers_of(model: nn.Module, example: Tensor) -> dict[nn.Module, Layer]:
    import torch
    from torch import nn

    found: dict[nn.Module, Layer] = {}

    def record(module: Any, _: Any, output: Tensor) -> None:
        if isinstance(module, nn.Linear):
            positions = output.numel() // output.shape[0] // module.out_features
            found[module] = Layer(module.out_features, module.in_features, 1, positions, False)
        else:
            kernel = module.weight[0, 0].numel()
            depthwise = module.groups > 1 and module.groups == module.in_channels
            inputs = module.in_channels // (1 if depthwise else module.groups)
            positions = output[0, 0].numel()
            found[module] = Layer(module.out_channels, inputs, kernel, positions, depthwise)

    hooks = [
        module.register_forward_hook(record)
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    training = model.training
    model.eval()
    with torch.no_grad():
        model(example)
    model.train(training)
    for hook in hooks:
        hook.remove()
    return found
