"""How far a quantized graph's answers are from float ones, and which layer loses them first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgedistill.compress.operators import WEIGHTED, is_clamp, is_fused, layer_name
from edgedistill.compress.quantize import Batch
from edgedistill.program import Program, answers, graph_of
from edgedistill.records import Fidelity

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

FAR = 10.0
"""Decibels of signal to noise: below, the noise is a third of the signal. Eight bits leave 20 and
more; what was clipped or has a scale of another's size leaves less."""
_QUANTIZE, _DEQUANTIZE = "quantized_decomposed.quantize_", "quantized_decomposed.dequantize_"


@dataclass(frozen=True)
class Loss:
    """Of the values of one layer, as the float arithmetic gives them, when they are rounded."""

    layer: str
    near: str
    """The layer with weights that it is, or that reads it next; "" where none does."""
    sqnr_db: float
    clipped: float
    """Share of the noise that comes from values outside of the range, 0 to 1."""
    low: float
    high: float


def fidelity(
    program: Program,
    quantized: Program,
    inputs: Batch,
    agreement: Callable[[NDArray[np.float32], NDArray[np.float32]], float] | None,
) -> tuple[Fidelity, str | None]:
    """How near a quantized program's answers are to those in float, and what to tell where that is
    far.

    inputs: in their order, each (samples, ...); agreement: of two answers (samples, values), None
    where a task decides nothing.
    """
    with torch.no_grad():
        floats, integers = (answers(graph_of(each)(*inputs)) for each in (program, quantized))
    place = program.signature.answer
    wanted, found = floats[place], integers[place]
    same, losses = unrounded(quantized, *inputs)
    rounding = sqnr_db(same, torch.cat([each.flatten(1) for each in integers], 1))
    alike = None if agreement is None else agreement(wanted.numpy(), found.numpy())
    return Fidelity(sqnr_db(wanted, found), rounding, alike), advice(rounding, losses)


def sqnr_db(wanted: Tensor, found: Tensor) -> float:
    """Signal to quantization noise of answers of any one shape, in decibels; 120 at most."""
    return _decibels(_power(wanted), _power(found - wanted))


def unrounded(program: Program, *inputs: Tensor) -> tuple[Tensor, list[Loss]]:
    """What a quantized program answers without any rounding, its weights' included, and what
    rounding each layer's values would lose, in the order of the graph.

    inputs: in their order, each (samples, ...).
    """
    graph = graph_of(program)
    watcher = _Unrounded(graph)
    with torch.no_grad():
        outputs = answers(watcher.run(*inputs))
    return torch.cat([each.flatten(1) for each in outputs], 1), watcher.losses


def first_culprit(losses: list[Loss]) -> Loss | None:
    """The first layer whose own rounding loses what it computes."""
    return next((loss for loss in losses if loss.sqnr_db < FAR), None)


def advice(rounding_db: float, losses: list[Loss]) -> str | None:
    """What to tell of a quantized graph that is far from its own float arithmetic; None where it
    is not.

    rounding_db: signal to noise of its answers against those without rounding.
    """
    culprit = first_culprit(losses)
    if rounding_db >= FAR and (culprit is None or culprit.clipped < 0.5):
        return None
    told = (
        f"int8 answers are {rounding_db:.1f} dB of signal to noise from the same weights in float"
    )
    if culprit is None:
        return f"{told}; no single layer stands out: train with `method: qat`, or for longer"
    cause = (
        f"values outside of its range, {culprit.low:.3g} to {culprit.high:.3g}, are clipped"
        if culprit.clipped >= 0.5
        else f"its range, {culprit.low:.3g} to {culprit.high:.3g}, is too wide for its values"
    )
    keep = f"`stages.quantize.keep_float: [{culprit.near}]`" if culprit.near else "`method: qat`"
    return f"{told}; the first layer that loses them is `{culprit.layer}`: {cause}; try {keep}"


class _Unrounded(torch.fx.Interpreter):
    """Runs a graph with its quantize and dequantize nodes passing on what they are given."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.losses: list[Loss] = []

    def run_node(self, node: Node) -> Any:
        name = str(node.target)
        if not name.startswith((_QUANTIZE, _DEQUANTIZE)):
            return super().run_node(node)
        args, _ = self.fetch_args_kwargs_from_env(node)
        if name.startswith(_QUANTIZE + "per_tensor") and not _is_constant(node):
            self.losses.append(_loss(node, *args[:5]))
        return args[0]


def _is_constant(node: Node) -> bool:
    source: Any = node.args[0]
    return bool(source.op == "get_attr")


def _loss(node: Node, x: Tensor, scale: float, zero_point: int, low: int, high: int) -> Loss:
    least, most = scale * (low - zero_point), scale * (high - zero_point)
    inside = x.clamp(least, most)
    clipping = _power(x - inside)
    noise = clipping + _power(torch.round(inside / scale) * scale - inside)
    layer, near = _names(node)
    share = clipping / noise if noise else 0.0
    return Loss(layer, near, _decibels(_power(x), noise), share, least, most)


def _names(quantize: Node) -> tuple[str, str]:
    source: Any = quantize.args[0]
    if is_clamp(source) and is_fused(source.args[0]):
        source = source.args[0]
    following: Node | None = source
    while following is not None and str(following.target) not in WEIGHTED:
        following = _reader(following)
    return layer_name(source), layer_name(following) if following is not None else ""


def _reader(node: Node) -> Node | None:
    """The first operator that reads what `node` gives, behind quantize and dequantize nodes."""
    user = next(iter(node.users), None)
    while user is not None and str(user.target).startswith((_QUANTIZE, _DEQUANTIZE)):
        user = next(iter(user.users), None)
    return user


def _power(x: Tensor) -> float:
    return float(x.double().square().sum())


def _decibels(signal: float, noise: float) -> float:
    ratio = signal / max(noise, 1e-12 * signal, 1e-30)
    return 10 * math.log10(max(ratio, 1e-12))
