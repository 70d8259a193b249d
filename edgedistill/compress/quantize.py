"""From a folded program to one with quantize/dequantize nodes, by training or after it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from edgedistill.compress.fake_quantize import (
    ActivationFakeQuantize,
    FakeQuantize,
    SharedFakeQuantize,
    WeightFakeQuantize,
)
from edgedistill.compress.groups import Scale
from edgedistill.compress.halves import halve_constants
from edgedistill.compress.operators import (
    AVERAGES,
    SAME_SCALE,
    WEIGHTED,
    activations,
    is_unbounded,
    layer_name,
    padding_value,
)
from edgedistill.compress.quantizer import SchemeQuantizer
from edgedistill.errors import UserError, nearest
from edgedistill.program import Program, export, graph_of, part_of, value
from edgedistill.signature import Signature

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

    from edgedistill.target import Scheme


Batch = tuple[Tensor, ...]
"""A program's inputs, in their order."""


class Prepared(nn.Module):
    """A folded model with fake quantization, to be calibrated, trained and converted.

    Called like the model it came from. Ranges of activations are watched in training mode until
    `freeze_observers`; evaluation never changes them.
    """

    def __init__(self, graph: GraphModule, signature: Signature) -> None:
        super().__init__()
        self.graph = graph
        self.signature = signature
        self.frozen = False
        self.train(False)

    def forward(self, *inputs: Tensor) -> Any:
        """What the model answers, its tensors rounded; ranges of what was seen are updated
        afterwards, so that they count from the next call on."""
        given = self.graph(*inputs)
        for each in self.roundings(ActivationFakeQuantize):
            each.update_range()
        return given

    def train(self, mode: bool = True) -> Prepared:
        """Watch ranges in training mode, unless they are frozen; returns the model itself."""
        # The graph has neither dropout nor batch norm, and refuses to be switched.
        self.training = mode
        for each in self.roundings(ActivationFakeQuantize):
            each.enable_observer(mode and not self.frozen)
        return self

    def freeze_observers(self) -> None:
        """From now on the activations' ranges stand still."""
        self.frozen = True
        self.train(self.training)

    def roundings(self, kind: type[FakeQuantize] = FakeQuantize) -> list[Any]:
        """The fake quantizers of that kind, in the graph's order."""
        return [module for module in self.graph.modules() if isinstance(module, kind)]


def prepare(
    program: Program,
    scheme: Scheme,
    keep_float: tuple[str, ...] = (),
    known: Mapping[str, Scale] | None = None,
) -> Prepared:
    """A trainable copy of a folded program that rounds as `scheme` says; calibrate it first.

    keep_float: layers with weights, and modules, that stay in float, their constants in half
    precision; known: scales that are no longer to be found, see `SchemeQuantizer`.
    Raises UserError: `keep_float` names what is neither of the program's.
    """
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    graph = copy.deepcopy(graph_of(program))  # which would share the program's weights
    check_names(graph, keep_float)
    halve_constants(graph, keep_float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantizer = SchemeQuantizer(scheme, keep_float, program.signature, known)
        prepared = prepare_pt2e(graph, quantizer)
    _name_roundings(prepared)
    return Prepared(prepared, program.signature)


def check_names(graph: GraphModule, keep_float: tuple[str, ...]) -> None:
    """Raises UserError: `keep_float` names no layer with weights and no module of the graph."""
    for name in keep_float:
        if not _has(graph, name):
            raise UserError(
                f"stages.quantize.keep_float: no layer with weights `{name}`",
                nearest(name, _weighted_names(graph)),
            )


def present(program: Program, names: Iterable[str]) -> tuple[str, ...]:
    """Of these layers and modules, those that a program has."""
    graph = graph_of(program)
    return tuple(name for name in names if _has(graph, name))


def _has(graph: GraphModule, name: str) -> bool:
    inside = any(part_of(node, [name]) for node in graph.graph.nodes)
    return inside or name in _weighted_names(graph)


def _weighted_names(graph: GraphModule) -> list[str]:
    return [layer_name(node) for node in graph.graph.nodes if str(node.target) in WEIGHTED]


def _name_roundings(graph: GraphModule) -> None:
    """Give every fake quantizer one name, after what it rounds, and let those behind operators
    that only move values repeat their head's: it has seen and rounded them already."""
    modules: dict[int, str] = {}
    heads: dict[Node, FakeQuantize] = {}
    given = [name for name in vars(graph)["_modules"] if name.startswith("activation_post_")]
    for node in list(graph.graph.nodes):
        if node.op != "call_module":
            continue
        rounding = graph.get_submodule(str(node.target))
        if not isinstance(rounding, FakeQuantize):
            continue
        heads[node] = rounding
        source: Any = node.args[0]
        name = f"round_{source.name}"
        if _only_moves(source, rounding, heads):
            rounding = SharedFakeQuantize(rounding)
        if id(rounding) not in modules:
            modules[id(rounding)] = name
            graph.add_submodule(name, rounding)
        node.target = modules[id(rounding)]
    for name in given:
        delattr(graph, name)
    graph.recompile()


def _only_moves(node: Node, rounding: FakeQuantize, heads: dict[Node, FakeQuantize]) -> bool:
    """Whether all that `node` gives was rounded by `rounding` before: no value of its own comes
    in, but for one that stands for infinity, and is clamped to the range."""
    if str(node.target) not in SAME_SCALE - AVERAGES:
        return False
    padded = padding_value(node)
    moved = all(heads.get(each) is rounding for each in activations(node))
    return moved and (not padded or is_unbounded(padded))


def calibrate(prepared: Prepared, batches: Iterable[Batch]) -> None:
    """Set every range to the mean of the batches' extremes, as the float model computes them.

    batches: the inputs in their order, each (batch, ...).
    """
    roundings = prepared.roundings()
    watchers = prepared.roundings(ActivationFakeQuantize)
    for each in roundings:
        each.disable_fake_quant()
    for each in watchers:
        each.enable_observer()
        each.low.fill_(torch.nan)
    momentum = watchers[0].momentum if watchers else 0.0
    with torch.no_grad():
        for count, inputs in enumerate(batches, start=1):
            for each in watchers:
                each.momentum = 1 / count
            prepared(*inputs)
    for each in roundings:
        each.enable_fake_quant()
    for each in watchers:
        each.momentum = momentum
    prepared.train(prepared.training)


def _weighted(node: Node) -> bool:
    return str(node.target) in WEIGHTED


def convert(prepared: Prepared) -> Program:
    """The program that `prepared` stands for: float arithmetic between quantize and dequantize
    nodes (`quantized_decomposed`), weights still float before theirs, batch dynamic.

    Biases are put on the grid of their 32-bit integers (input scale times weight scale), so that
    every runtime reads the same ones.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    graph = copy.deepcopy(prepared.graph)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _refresh_weight_scales(graph)
        graph = convert_pt2e(graph, fold_quantize=False)
        _round_biases(graph)
        _bound_paddings(graph)
    return export(graph, prepared.signature)


def _refresh_weight_scales(graph: GraphModule) -> None:
    """Let the scales follow the last optimizer step, which no forward pass has seen."""
    for node in graph.graph.nodes:
        if node.op == "call_module":
            rounding = graph.get_submodule(str(node.target))
            weight = value(graph, node.args[0])
            if isinstance(rounding, WeightFakeQuantize) and weight is not None:
                rounding(weight)


def _round_biases(graph: GraphModule) -> None:
    for node in graph.graph.nodes:
        if not _weighted(node) or len(node.args) < 3:
            continue
        bias = value(graph, node.args[2])
        scales = [_dequantized_scale(graph, each) for each in node.args[:2]]
        if bias is None or scales[0] is None or scales[1] is None:
            continue
        step = scales[0] * scales[1]
        bias.copy_(torch.round(bias / step) * step)


def _bound_paddings(graph: GraphModule) -> None:
    """Let each padding that stands for infinity fill in the end of its range: no runtime has an
    integer for it."""
    for node in graph.graph.nodes:
        padded = padding_value(node)
        quantize = next(iter(node.users), None)
        if padded is None or quantize is None or not is_unbounded(padded):
            continue
        if ".quantize_per_tensor." in str(quantize.target):
            scale, zero_point, low, high = quantize.args[1:5]
            place = 3 if str(node.target) == "aten.pad.default" else 2
            node.update_arg(place, ((high if padded > 0 else low) - zero_point) * scale)


def _dequantized_scale(graph: GraphModule, node: Any) -> Tensor | None:
    if not str(node.target).startswith("quantized_decomposed.dequantize_"):
        return None
    scale = value(graph, node.args[1])
    return torch.tensor(node.args[1]) if scale is None else scale
