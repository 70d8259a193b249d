"""What one inference costs, and what it would cost with fewer channels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from edgedistill.models.work import Product, padded_macs, products
from edgedistill.target import Kernel

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Cost:
    """Of one inference, as the report counts it (`models/work.py`)."""

    macs: float
    params: float
    padded_macs: float = 0.0
    """Multiply-accumulates as a target's kernels compute them; 0 where nobody asked."""

    def within(self, goal: Cost) -> bool:
        """Whether no figure is above the goal's."""
        return not self.over(goal)

    def over(self, goal: Cost) -> dict[str, float]:
        """What is above the goal, and by how much."""
        apart = {
            each.name: getattr(self, each.name) - getattr(goal, each.name) for each in fields(self)
        }
        return {name: much for name, much in apart.items() if much > 0}

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.params + other.params,
            self.padded_macs + other.padded_macs,
        )

    def __sub__(self, other: Cost) -> Cost:
        return Cost(
            self.macs - other.macs,
            self.params - other.params,
            self.padded_macs - other.padded_macs,
        )


def measure_cost(module: nn.Module, example: Tensor, kernel: Kernel | None = None) -> Cost:
    """Cost of one inference on `example` (1, channels, height, width); padded to `kernel`, where
    one is given."""
    return cost_of(module, products(module, example), kernel)


def cost_of(module: nn.Module, found: Sequence[Product], kernel: Kernel | None = None) -> Cost:
    """The same of what one inference of `module` is known to multiply."""
    params = sum(parameter.numel() for parameter in module.parameters())
    padded = 0 if kernel is None else padded_macs(found, kernel)
    return Cost(sum(each.macs for each in found), params, padded)


@dataclass
class Layer:
    """A layer while channels are being taken from it."""

    calls: Sequence[Product]
    """What it multiplies, once for each time that it is called."""
    weights: float
    """Parameters that shrink with its outputs and with its inputs."""
    vectors: float
    """Parameters that shrink with its outputs alone: biases, and all of a norm."""
    whole: tuple[int, int]
    """Channels that it gives and takes before anything is cut."""
    outputs: int
    inputs: int
    tied: bool
    """Whether its inputs are its outputs: depthwise convolutions, norms, attention."""
    kernel: Kernel | None = None

    def cost(self) -> Cost:
        """What the layer costs with the channels that it has now. Channels that are cut leave
        fractions of what was counted whole."""
        given = self.outputs / self.whole[0]
        taken = given if self.tied else self.inputs / self.whole[1]
        calls = [_shrunk(each, given, taken, self.tied) for each in self.calls]
        padded = 0 if self.kernel is None else padded_macs(calls, self.kernel)
        # Each of a depthwise convolution's weights belongs to one channel.
        both = given if self.tied and self.whole[1] == 1 else given * taken
        return Cost(
            sum(each.macs for each in calls), self.weights * both + self.vectors * given, padded
        )


def _shrunk(call: Product, given: float, taken: float, tied: bool) -> Product:
    if tied and call.groups > 1:
        return replace(call, groups=round(call.groups * given))
    return replace(call, outputs=round(call.outputs * given), inputs=round(call.inputs * taken))


def total(costs: Iterable[Cost]) -> Cost:
    """Their sum."""
    macs: float = 0
    params: float = 0
    padded: float = 0
    for each in costs:
        macs, params, padded = macs + each.macs, params + each.params, padded + each.padded_macs
    return Cost(macs, params, padded)


def layer_of(
    module: Any,
    name: str,
    found: Sequence[Product],
    sides: tuple[int, int, bool],
    kernel: Kernel | None,
) -> Layer:
    """The module `name` as a layer; `sides`: the channels it gives and takes, and whether those are
    the same ones. Its calls are the products in `found` with one of its parameters."""
    import torch

    outputs, inputs, tied = sides
    if isinstance(module, torch.nn.Parameter):
        return Layer((), 0, module.numel(), (outputs, 1), outputs, 1, True)
    parameters = dict(module.named_parameters())
    if isinstance(module, torch.nn.RNNBase):  # only what it reads can be cut
        parameters = {key: value for key, value in parameters.items() if "weight_ih_l0" in key}
    calls = [
        each for each in found
        if each.weight.startswith(f"{name}.") and each.weight[len(name) + 1 :] in parameters
    ]  # fmt: skip
    sizes = {True: 0, False: 0}
    for value in parameters.values():
        sizes[value.dim() > 1] += value.numel()
    depthwise = tied and all(math.prod((each.outputs, each.inputs)) == 1 for each in calls)
    whole = (outputs, 1 if depthwise else inputs)
    return Layer(calls, sizes[True], sizes[False], whole, *whole, tied, kernel)
