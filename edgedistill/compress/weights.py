"""Weights in integers, activations in float: linear layers, tables and convolutions whose weights
are int8, symmetric, with a scale for each output channel or row."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.ao.quantization.fx import _decomposed  # noqa: F401, which registers its operators

from edgedistill.errors import UserError, nearest
from edgedistill.program import Program, export, forget_unread, graph_of, part_of, value

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_LOOKUP = "aten.embedding.default"
_WEIGHTS = {
    "aten.linear.default": 1,
    "aten.conv1d.default": 1,
    "aten.conv1d.padding": 1,
    "aten.conv2d.default": 1,
    "aten.conv2d.padding": 1,
    _LOOKUP: 0,
}
"""Which argument of an operator is its weight, output channels or rows first."""
_MOST = 127
LEAST = 4096
"""Values: with fewer, a weight gains nothing that is worth its scales and an operator more."""


def sizes(program: Program) -> dict[str, int]:
    """The modules whose weights `integer_weights` would store as int8, and how many values each
    has, in the order of the graph."""
    graph = graph_of(program)
    found = ((node, value(graph, node)) for node in _weights(graph))
    return {_owner(node): held.numel() for node, held in found if held is not None}


def check_kept(programs: Collection[Program], keep_float: Collection[str]) -> None:
    """Raises UserError: `keep_float` names what is no module with a weight in any of the
    programs, and none around one."""
    known = [name for program in programs for name in sizes(program)]
    for name in keep_float:
        if not any(_is_within(each, [name]) for each in known):
            raise UserError(f"keep_float: no layer with weights `{name}`", nearest(name, known))


def integer_weights(
    program: Program, keep_float: Collection[str] = (), least: int = LEAST, bits: int = 8
) -> Program:
    """The program with its weights as int8 behind `dequantize_per_channel` nodes; what it computes
    stays in float.

    A table that tokens are looked up in gives rows of int8, each times its scale; where a linear
    layer reads the table too, both read the one copy. Other constants stay, and so do weights of
    fewer than `least` values, and those that anything else reads.

    keep_float: modules, by their paths, whose weights stay in float; what a program has not got
    is passed over, see `check_kept`.
    bits: 7 for processors whose kernels add two products into 16 bits, see `target.Scheme`.
    """
    graph = graph_of(program)
    for node in list(_weights(graph)):
        held = value(graph, node)
        if held is not None and held.numel() >= least and not _is_kept(node, keep_float):
            _store(graph, node, held, bits)
    forget_unread(graph)
    return export(graph, program.signature)


def rounded(weight: Tensor, bits: int = 8) -> tuple[Tensor, Tensor]:
    """(int8, scales) of a weight (channels, ...): (channels, ...) in -127..127, of 7 bits in
    -63..63, and (channels,) float32, of which the product with the integers is within half a scale
    of the weight."""
    most = 2 ** (bits - 1) - 1
    rows = weight.detach().float().flatten(1)
    scales = rows.abs().amax(1) / most
    # Below the normal numbers a scale has too few digits left; such weights are nothing.
    normal = scales >= torch.finfo(scales.dtype).tiny
    scales = torch.where(normal, scales, torch.ones_like(scales))
    steps = torch.round(rows / scales[:, None]).clamp(-most, most)
    return steps.to(torch.int8).view(weight.shape), scales


def _weights(graph: GraphModule) -> Iterator[Node]:
    """Stored float32 tensors of two axes and more that are read as weights alone."""
    for node in graph.graph.nodes:
        held = value(graph, node)
        if held is None or held.dtype != torch.float32 or held.dim() < 2 or not node.users:
            continue
        if all(_reads_weight(user, node) for user in node.users):
            yield node


def _reads_weight(user: Node, weight: Node) -> bool:
    place = _WEIGHTS.get(str(user.target))
    return place is not None and [
        index for index, each in enumerate(user.args) if each is weight
    ] == [place]


def _owner(node: Node) -> str:
    """The path of the module that holds a weight; a weight of its own is its own."""
    path = str(node.target).removeprefix(_WRAPPER)
    return path.removesuffix(".weight")


_WRAPPER = "model."
"""Around what `Method` wraps, in a program that was not folded."""


def _is_kept(node: Node, keep_float: Collection[str]) -> bool:
    """Whether a weight, or what reads it, is a named module's."""
    readers = any(part_of(user, keep_float) for user in node.users)
    return readers or _is_within(_owner(node), keep_float)


def _is_within(path: str, parts: Collection[str]) -> bool:
    return any(f"{path}.".startswith(f"{part}.") for part in parts)


def _store(graph: GraphModule, node: Node, held: Tensor, bits: int) -> None:
    """Put int8 and scales in a weight's place, before each of its readers."""
    steps, scales = rounded(held, bits)
    path = str(node.target)
    kept = {"int8": steps, "scale": scales, "zero": torch.zeros(len(scales), dtype=torch.int8)}
    for ending, tensor in kept.items():
        _register(graph, f"{path}_{ending}", tensor)
    with graph.graph.inserting_before(node):
        stored, scale, zero = (graph.graph.get_attr(f"{path}_{ending}") for ending in kept)
    for user in list(node.users):
        with graph.graph.inserting_before(user):
            if str(user.target) == _LOOKUP:
                user.replace_all_uses_with(_row(graph, user, stored, scale))
            else:
                user.replace_input_with(node, _dequantized(graph, stored, scale, zero))


def _dequantized(graph: GraphModule, stored: Node, scale: Node, zero: Node) -> Node:
    dequantize: Any = torch.ops.quantized_decomposed.dequantize_per_channel.default
    given = (stored, scale, zero, 0, -_MOST, _MOST, torch.int8)
    return graph.graph.call_function(dequantize, given)


def _row(graph: GraphModule, lookup: Node, stored: Node, scale: Node) -> Node:
    """The rows (..., width) that tokens (...) look up, each times its scale."""
    aten: Any = torch.ops.aten
    call, token = graph.graph.call_function, lookup.args[1]
    shape = [size if isinstance(size, int) else -1 for size in token.meta["val"].shape]  # type: ignore[union-attr]
    flat = token if len(shape) == 1 else call(aten.reshape.default, (token, [-1]))
    row = call(aten.embedding.default, (stored, token))
    row = call(aten._to_copy.default, (row,), {"dtype": torch.float32})
    step = call(aten.index_select.default, (scale, 0, flat))
    step = call(aten.reshape.default, (step, [*shape, 1] if len(shape) > 1 else [-1, 1]))
    return call(aten.mul.Tensor, (row, step))


def _register(graph: GraphModule, path: str, tensor: Tensor) -> None:
    parent, _, last = path.rpartition(".")
    graph.get_submodule(parent).register_buffer(last, tensor)
