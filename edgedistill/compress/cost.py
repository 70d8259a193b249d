"""What one inference costs, and what it would cost with fewer channels.

A figure is anything that is a sum over what the model computes and its parameters:
multiply-accumulates, those that a kernel computes, a device's price, parameters, bytes. Pruning
knows of no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from edgedistill.models.steps import Work, works
from edgedistill.models.work import Product, products
from edgedistill.target import Kernel

if TYPE_CHECKING:
    from torch import Tensor, nn


class PriceList(Protocol):
    """What a device takes for each operator, counted or measured there."""

    @property
    def unit(self) -> Literal["instructions", "microseconds"]:
        """What a price is in."""

    def of(self, work: Work) -> float:
        """The price of one operator, in `unit`."""

    def fixed(self, operators: int) -> float:
        """What an inference of so many operators takes beside them."""

    def learn(self, works: Iterable[Work]) -> None:
        """Ask the device at once for all of these that it was not asked for yet."""


@dataclass(frozen=True, eq=False)
class Figure:
    """One thing that an inference costs."""

    unit: str
    """As a message names it."""
    per: float = 1.0
    """How much of it is one `unit`."""
    product: Callable[[Product], float] = lambda _: 0.0
    """Of a product."""
    prices: PriceList | None = None
    """In its place: of every operator, and of the inference around them."""
    weight: float = 0.0
    """Of each element of a layer's weights."""
    vector: float = 0.0
    """Of each element of a bias or a norm."""

    def of(self, work: Work) -> float:
        """Of a product or another operator."""
        if self.prices is not None:
            return self.prices.of(work)
        return self.product(work) if isinstance(work, Product) else 0.0

    def told(self, value: float) -> str:
        """A value in words: `12.34 M MACs`."""
        return f"{value / self.per:.4g} {self.unit}"


Costs = dict[Figure, float]

MACS = Figure("M MACs", 1e6, lambda product: product.macs)
PARAMS = Figure("k parameters", 1e3, weight=1.0, vector=1.0)
BYTES = Figure("KB of weights", 1e3, weight=1.0, vector=4.0)
"""As a file of integers holds them, without its graph."""


def padded(kernel: Kernel) -> Figure:
    """Multiply-accumulates as such kernels compute them."""
    return Figure("M padded MACs", 1e6, lambda product: product.padded(kernel))


def priced(prices: PriceList) -> Figure:
    """What a device takes; told in millions of instructions, or milliseconds."""
    unit, per = _UNITS[prices.unit]
    return Figure(unit, per, prices=prices)


_UNITS = {"instructions": ("M instructions", 1e6), "microseconds": ("ms", 1e3)}


def measure(module: nn.Module, example: Tensor, figures: Iterable[Figure]) -> Costs:
    """Figures of one inference on `example` (1, channels, height, width)."""
    figures = list(figures)
    return reckon(module, computed(module, example, figures), figures)


def computed(module: nn.Module, example: Tensor, figures: Iterable[Figure]) -> Sequence[Work]:
    """What one inference on `example` computes, as far as the figures count it."""
    whole = any(each.prices is not None for each in figures)
    return works(module, example) if whole else products(module, example)


def reckon(module: nn.Module, found: Sequence[Work], figures: Iterable[Figure]) -> Costs:
    """The same of what one inference of `module` is known to compute."""
    weights, vectors = _sizes(module.parameters())
    costs = {}
    for each in figures:
        learn(each, found)
        fixed = each.prices.fixed(len(found)) if each.prices else 0.0
        costs[each] = fixed + _cost(each, found, weights, vectors)
    return costs


def learn(figure: Figure, found: Iterable[Work]) -> None:
    """Ask at once for all prices of these that the figure needs."""
    if figure.prices is not None:
        figure.prices.learn(found)


def over(costs: Mapping[Figure, float], limits: Mapping[Figure, float]) -> Costs:
    """What is above its limit, and by how much."""
    apart = {figure: costs[figure] - limit for figure, limit in limits.items()}
    return {figure: much for figure, much in apart.items() if much > 0}


def told(costs: Mapping[Figure, float], figures: Iterable[Figure]) -> str:
    """Values of these figures in words."""
    return " and ".join(figure.told(costs[figure]) for figure in figures)


def _cost(figure: Figure, calls: Iterable[Work], weights: float, vectors: float) -> float:
    of_calls = sum(figure.of(each) for each in calls)
    return of_calls + figure.weight * weights + figure.vector * vectors


def _sizes(parameters: Iterable[Tensor]) -> tuple[int, int]:
    """Elements of weights, and of biases and norms."""
    sizes = {True: 0, False: 0}
    for each in parameters:
        sizes[each.dim() > 1] += each.numel()
    return sizes[True], sizes[False]


@dataclass
class Layer:
    """A layer while channels are being taken from it."""

    calls: Sequence[Work]
    """What it multiplies, once for each time that it is called, and the operators that follow."""
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

    def costs(self, figures: Iterable[Figure]) -> tuple[float, ...]:
        """What the layer costs with the channels that it has now, figure by figure. Channels that
        are cut leave fractions of what was counted whole."""
        given = self.outputs / self.whole[0]
        taken = given if self.tied else self.inputs / self.whole[1]
        calls = self.calls_with(self.outputs, self.inputs)
        # Each of a depthwise convolution's weights belongs to one channel.
        both = given if self.tied and self.whole[1] == 1 else given * taken
        return tuple(
            _cost(each, calls, self.weights * both, self.vectors * given) for each in figures
        )

    def calls_with(self, outputs: int, inputs: int) -> list[Work]:
        """What it computes with so many channels."""
        given = outputs / self.whole[0]
        taken = given if self.tied else inputs / self.whole[1]
        return [_shrunk(each, given, taken, self.tied) for each in self.calls]


def _shrunk(call: Work, given: float, taken: float, tied: bool) -> Work:
    if not isinstance(call, Product):
        return replace(call, channels=round(call.channels * given))
    if tied and call.groups > 1:
        return replace(call, groups=round(call.groups * given))
    return replace(call, outputs=round(call.outputs * given), inputs=round(call.inputs * taken))


def layer_of(module: Any, name: str, found: Sequence[Work], sides: tuple[int, int, bool]) -> Layer:
    """The module `name` as a layer; `sides`: the channels it gives and takes, and whether those are
    the same ones. Its calls are those in `found` with one of its parameters."""
    import torch

    outputs, inputs, tied = sides
    if isinstance(module, torch.nn.Parameter):
        return Layer((), *_sizes([module]), (outputs, 1), outputs, 1, True)
    parameters = dict(module.named_parameters())
    if isinstance(module, torch.nn.RNNBase):  # only what it reads can be cut
        parameters = {key: value for key, value in parameters.items() if "weight_ih_l0" in key}
    calls = [
        each for each in found
        if each.weight.startswith(f"{name}.") and each.weight[len(name) + 1 :] in parameters
    ]  # fmt: skip
    multiplied = [each for each in calls if isinstance(each, Product)]
    depthwise = tied and all(math.prod((each.outputs, each.inputs)) == 1 for each in multiplied)
    whole = (outputs, 1 if depthwise else inputs)
    return Layer(calls, *_sizes(parameters.values()), whole, *whole, tied)
