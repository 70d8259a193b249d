"""Weights rounded, and biases moved, so that each layer gives what it does in float."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgedistill.compress.fake_quantize import FakeQuantize, WeightFakeQuantize
from edgedistill.compress.operators import WEIGHTED
from edgedistill.compress.surgery import argument
from edgedistill.program import placeholders, value

if TYPE_CHECKING:
    from torch.fx import Node

    from edgedistill.compress.quantize import Batch, Prepared

_ROWS = 8
"""Inputs of a layer that are looked at, for each weight of one of its outputs; and at most:"""
_MOST_ROWS = 8192
_WIDEST = 2304
"""Weights of one output beyond which rounding is left as it is: the table of their products would
outgrow what it can gain."""


def reconstruct(prepared: Prepared, batches: list[Batch], *, rounding: bool, biases: bool) -> None:
    """Change the layers of a calibrated graph in place, in order, each on what the ones before it
    give when rounded, towards what it gives in float.

    rounding: let each weight go up or down to the next step so that the squared error of what the
    layer gives is least (Nagel et al. 2020, section 3.2), solved by greedy coordinate descent (Nair
    and Suggala 2024) in place of their relaxation: it ends no worse than it began.
    biases: take each output channel's mean error off its bias (Nagel et al. 2019, section 4.2).
    batches: inputs in their order, (batch, ...) each.
    """
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in _layers(prepared, batches):
            if rounding:
                _round(layer, random)
            if biases and layer.bias is not None:
                _correct(layer)


@dataclass
class _Layer:
    """A layer with what it reads: in float, and rounded."""

    node: Node
    exact: list[Tensor]
    found: list[Tensor]
    float_weight: Tensor
    float_bias: Tensor | None
    weight: Tensor
    """Of the graph, to be changed in place."""
    bias: Tensor | None
    quantizer: WeightFakeQuantize

    def outputs(self) -> tuple[list[Tensor], list[Tensor]]:
        """What it gives for each batch: in float, and rounded."""
        target: Any = self.node.target
        rest = self.node.args[3:]
        exact = [target(x, self.float_weight, self.float_bias, *rest) for x in self.exact]
        weight = self.quantizer(self.weight)
        return exact, [target(x, weight, self.bias, *rest) for x in self.found]


def _layers(prepared: Prepared, batches: list[Batch]) -> Iterator[_Layer]:
    """Walk the graph once, each operator on all batches in float and rounded; what is done to a
    layer while it is given counts for those after it."""
    graph = prepared.graph
    exact = [torch.fx.Interpreter(graph) for _ in batches]
    found = [torch.fx.Interpreter(graph) for _ in batches]
    for run, inputs in zip((*exact, *found), (*batches, *batches), strict=True):
        run.env = dict(zip(placeholders(graph), inputs, strict=True))
    last = {each: node for node in graph.graph.nodes for each in node.all_input_nodes}
    for node in graph.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        rounds = node.op == "call_module" and isinstance(
            graph.get_submodule(str(node.target)), FakeQuantize
        )
        before = [run.env[node.args[0]] if rounds else run.run_node(node) for run in exact]
        layer = _layer(prepared, node, exact, found) if str(node.target) in WEIGHTED else None
        if layer is not None:
            yield layer
            after = layer.outputs()[1]
        else:
            after = [run.run_node(node) for run in found]
        for run, each in zip((*exact, *found), (*before, *after), strict=True):
            run.env[node] = each.clone() if node.op == "get_attr" else each
            for source in node.all_input_nodes:
                if last[source] is node:
                    run.env.pop(source, None)


def _layer(
    prepared: Prepared,
    node: Node,
    exact: list[torch.fx.Interpreter],
    found: list[torch.fx.Interpreter],
) -> _Layer | None:
    graph = prepared.graph
    behind: Any = node.args[1]
    quantizer = graph.get_submodule(str(behind.target)) if behind.op == "call_module" else None
    if not isinstance(quantizer, WeightFakeQuantize):
        return None
    weight = value(graph, behind.args[0])
    alone = len(behind.args[0].users) == 1 and len(behind.users) == 1
    if weight is None or not alone:
        return None
    held: Any = argument(node, 2, None)
    bias = value(graph, held) if held is not None and len(held.users) == 1 else None
    source: Any = node.args[0]
    return _Layer(
        node,
        [run.env[source] for run in exact],
        [run.env[source] for run in found],
        weight.clone(),
        None if held is None else exact[0].env[held],
        weight,
        bias,
        quantizer,
    )


def _correct(layer: _Layer) -> None:
    exact, found = layer.outputs()
    errors = torch.cat([_by_channel(a - b) for a, b in zip(exact, found, strict=True)])
    assert layer.bias is not None
    layer.bias.add_(errors.mean(0))


def _by_channel(x: Tensor) -> Tensor:
    """(positions, channels) of a layer's output."""
    return x.movedim(1, -1).flatten(0, -2) if x.dim() == 4 else x.flatten(0, -2)


def _round(layer: _Layer, random: torch.Generator) -> None:
    groups = 1 if str(layer.node.target).startswith("aten.linear") else _groups(layer.node)
    weight, before = layer.weight, layer.float_weight
    width = weight[0].numel()
    if width > _WIDEST or not bool(weight.any()):
        return
    layer.quantizer(weight)
    up, down = _neighbours(layer)
    rows = min(_MOST_ROWS, _ROWS * width + 256)
    wanted, given = _inputs(layer, groups, rows, random)
    products = given.transpose(1, 2) @ given  # (groups, width, width)
    crossed = wanted.transpose(1, 2) @ given
    nearest = layer.quantizer(weight)
    rounded = [
        _descend(*each)
        for each in zip(
            *(x.reshape(groups, -1, width) for x in (before, nearest, up, down)),
            products, crossed, strict=True,
        )
    ]  # fmt: skip
    rounded_weight = torch.stack(rounded).view_as(weight)
    # What makes the scale keeps its value, so that the scale is the same to the bit.
    weight.copy_(torch.where(up == down, before, rounded_weight))


def _neighbours(layer: _Layer) -> tuple[Tensor, Tensor]:
    """The steps above and below each weight, alike where a weight must stay as it is: where a row
    has its extremes, and where a step lies beyond them."""
    weight, quantizer = layer.float_weight, layer.quantizer
    columns = (-1, *[1] * (weight.dim() - 1)) if quantizer.per_channel else ()
    step, zero = quantizer.scale.view(columns), quantizer.zero_point.view(columns)
    levels = weight * (1.0 / step)
    axes = tuple(range(1, weight.dim())) if quantizer.per_channel else tuple(range(weight.dim()))
    low, high = weight.amin(axes, keepdim=True), weight.amax(axes, keepdim=True)
    floor, ceil = levels.floor(), levels.ceil()
    inside = (floor >= quantizer.quant_min - zero) & (ceil <= quantizer.quant_max - zero)
    inside &= (floor * step >= low) & (ceil * step <= high) & (weight > low) & (weight < high)
    nearest = (levels.round().add(zero).clamp(quantizer.quant_min, quantizer.quant_max)) - zero
    return torch.where(inside, ceil, nearest) * step, torch.where(inside, floor, nearest) * step


def _descend(
    wanted: Tensor, start: Tensor, up: Tensor, down: Tensor, products: Tensor, crossed: Tensor
) -> Tensor:
    """Weights (outputs, width) out of `up` and `down`, from `start` on, that bring
    ‖wanted X - weights X̂‖² down, X̂ᵀX̂ = `products` and XᵀX̂ = `crossed`: in each output the one
    change that gains most, until none gains."""
    weights = start.clone()
    slope = 2 * (weights @ products - wanted @ crossed)
    curve = products.diagonal()
    outputs = torch.arange(len(weights))
    for _ in range(2 * weights.shape[1]):
        change = torch.where(weights == up, down, up) - weights
        gains = change * slope + change.square() * curve
        best, at = gains.min(1)
        moves = best < -1e-9 * (weights @ products * weights).sum(1).abs()
        if not bool(moves.any()):
            break
        taken = change[outputs, at] * moves
        weights[outputs, at] += taken
        weights = torch.where((weights - up).abs() < (weights - down).abs(), up, down)
        slope += 2 * taken[:, None] * products[at]
    return weights


def _inputs(
    layer: _Layer, groups: int, rows: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """What a layer reads, (groups, positions, width) in float and rounded: of as many positions in
    all, the same of both."""
    share = -(-rows // len(layer.exact))
    exact, found = [], []
    for a, b in zip(layer.exact, layer.found, strict=True):
        pair = [_positions(layer.node, x, layer.float_weight) for x in (a, b)]
        chosen = torch.randperm(len(pair[0]), generator=random)[:share]
        exact.append(pair[0][chosen])
        found.append(pair[1][chosen])
    wanted, given = (
        torch.cat(each).view(-1, groups, each[0].shape[1] // groups).transpose(0, 1)
        for each in (exact, found)
    )
    return wanted, given


def _positions(node: Node, x: Tensor, weight: Tensor) -> Tensor:
    """(positions, channels * kernel) that one output is a product of."""
    if str(node.target).startswith("aten.linear"):
        return x.flatten(0, -2)
    stride, padding = argument(node, 3, [1, 1]), argument(node, 4, [0, 0])
    dilation = argument(node, 5, [1, 1])
    kernel = weight.shape[2:]
    if isinstance(padding, str):
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        both = [(t // 2, t - t // 2) if padding == "same" else (0, 0) for t in total]
        x = torch.nn.functional.pad(x, (*both[1], *both[0]))
        padding = [0, 0]
    patches = torch.nn.functional.unfold(
        x, tuple(kernel), _two(dilation), _two(padding), _two(stride)
    )
    return patches.transpose(1, 2).flatten(0, 1)


def _two(given: Any) -> tuple[int, int]:
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    return (values[0], values[-1])


def _groups(node: Node) -> int:
    found: int = argument(node, 6, 1)
    return found
