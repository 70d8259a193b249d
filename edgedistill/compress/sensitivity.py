"""What rounding each layer alone costs: the table from which layers are left in float."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgedistill.compress.fake_quantize import FakeQuantize, FixedFakeQuantize, SharedFakeQuantize
from edgedistill.compress.operators import WEIGHTED, is_clamp, is_fused, layer_name
from edgedistill.program import answers
from edgedistill.records import LayerSensitivity

if TYPE_CHECKING:
    from torch.fx import Node

    from edgedistill.compress.quantize import Prepared

Outputs = NDArray[np.float32]

_BATCH = 64


def sensitivity(
    prepared: Prepared, inputs: tuple[Tensor, ...], quality: Callable[[Outputs], float]
) -> list[LayerSensitivity]:
    """Round one layer's weights and output at a time, all others in float, and compare.

    prepared: calibrated; inputs: in their order, each (samples, ...); quality: of outputs
    (samples, values), in percent.
    Returns a row for each layer, the costliest first.
    """
    training = prepared.training
    prepared.train(False)
    roundings = prepared.roundings()
    enabled = [each.rounds for each in roundings]
    for each in roundings:
        each.disable_fake_quant()
    layers = _layers(prepared)
    tallies = {name: _Tally() for name in layers}
    with torch.no_grad():
        for start in range(0, len(inputs[0]), _BATCH):
            batch = tuple(each[start : start + _BATCH] for each in inputs)
            _measure(prepared, layers, batch, tallies)
    for each, was in zip(roundings, enabled, strict=True):
        each.enable_fake_quant(was)
    prepared.train(training)
    nodes = prepared.graph.graph.nodes
    weighted = {layer_name(node) for node in nodes if str(node.target) in WEIGHTED}
    rows = [
        LayerSensitivity(name, name in weighted, tally.drop_points(quality), tally.sqnr_db())
        for name, tally in tallies.items()
    ]
    return sorted(rows, key=lambda row: (-row.drop_points, row.sqnr_db))


class _Tally:
    def __init__(self) -> None:
        self.exact: list[Tensor] = []
        self.rounded: list[Tensor] = []
        self.signal, self.noise = 0.0, 0.0

    def add(self, exact: Tensor, rounded: Tensor) -> None:
        self.exact.append(exact)
        self.rounded.append(rounded)
        self.signal += float(exact.double().square().sum())
        self.noise += float((rounded - exact).double().square().sum())

    def drop_points(self, quality: Callable[[Outputs], float]) -> float:
        before, after = (quality(torch.cat(each).numpy()) for each in (self.exact, self.rounded))
        return before - after

    def sqnr_db(self) -> float:
        ratio = self.signal / max(self.noise, 1e-12 * self.signal, 1e-30)
        return 10 * math.log10(max(ratio, 1e-12))


def _layers(prepared: Prepared) -> dict[str, list[Node]]:
    """The fake-quantize nodes of each layer, by its name."""
    layers: dict[str, list[Node]] = {}
    graph = prepared.graph
    for node in graph.graph.nodes:
        if node.op != "call_module":
            continue
        rounding = graph.get_submodule(str(node.target))
        if not isinstance(rounding, FakeQuantize) or isinstance(
            rounding, (SharedFakeQuantize, FixedFakeQuantize)
        ):
            continue
        source = node.args[0]
        if source.op == "get_attr":
            source = next(iter(node.users))
        elif is_clamp(source) and is_fused(source.args[0]):
            source = source.args[0]
        layers.setdefault(layer_name(source), []).append(node)
    return layers


def _measure(
    prepared: Prepared,
    layers: dict[str, list[Node]],
    inputs: tuple[Tensor, ...],
    tallies: dict[str, _Tally],
) -> None:
    """Run a batch once in float; then, for each layer, only what comes after its rounding."""
    graph = prepared.graph
    recorder = torch.fx.Interpreter(graph, garbage_collect_values=False)
    exact = recorder.run(*inputs)
    for name, nodes in layers.items():
        changed = _after(prepared, nodes)
        known = {node: kept for node, kept in recorder.env.items() if node not in changed}
        modules: list[Any] = [graph.get_submodule(str(node.target)) for node in nodes]
        for each in modules:
            each.enable_fake_quant()
        rounded = torch.fx.Interpreter(graph).run(*inputs, initial_env=known)
        for each in modules:
            each.disable_fake_quant()
        place = prepared.signature.answer
        tallies[name].add(answers(exact)[place], answers(rounded)[place])


def _after(prepared: Prepared, nodes: list[Node]) -> set[Node]:
    """These nodes and all that is computed from them."""
    changed: set[Node] = set(nodes)
    for node in prepared.graph.graph.nodes:
        if node.op == "output" or any(each in changed for each in node.all_input_nodes):
            changed.add(node)
    return changed
