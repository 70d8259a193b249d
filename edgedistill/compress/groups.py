"""Which tensors of a graph share one scale: what operators move, and both ends of a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedistill.compress.operators import (
    AVERAGES,
    FIXED,
    SAME_SCALE,
    activations,
    is_clamp,
    is_fused,
    is_unbounded,
    padding_value,
)
from edgedistill.program import origin, placeholders, results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch.fx import GraphModule, Node

    from edgedistill.signature import Signature

Scale = tuple[float, int]
"""Scale and zero point of a tensor of 8-bit integers."""
PIXEL_SCALE, PIXEL_ZERO_POINT = 1 / 255, -128
"""Of pictures: pixels 0..1 are the integers `uint8 - 128`, exactly."""
_PICTURE = "is_picture"


def note_pictures(model: GraphModule, signature: Signature) -> None:
    """Note at each input whether it is a picture, whose scale is known."""
    for node, spec in zip(placeholders(model), signature.inputs, strict=True):
        node.meta[_PICTURE] = spec.layout == "NCHW" and spec.range == (0.0, 1.0)


def _fixed_scale(node: Node) -> Scale | None:
    """Scale and zero point, where they are not for the data to say."""
    if node.op == "placeholder":
        return (PIXEL_SCALE, PIXEL_ZERO_POINT) if node.meta.get(_PICTURE) else None
    return FIXED.get(str(node.target))


def moves(node: Node) -> bool:
    """Whether an operator computes no value of its own."""
    return str(node.target) in SAME_SCALE - AVERAGES


def maker(node: Node) -> str:
    """What computes the values of a tensor, whatever moves them afterwards, by its origin in the
    model; empty where that is unknown, or they come from several."""
    source: Any = node
    while moves(source) and len(activations(source)) == 1:
        (source,) = activations(source)
    if is_clamp(source) and is_fused(source.args[0]):
        source = source.args[0]
    computes = source.op == "placeholder" or str(source.target).startswith("aten.")
    return (origin(source) or "") if computes and not moves(source) else ""


def states_of(model: GraphModule, signature: Signature) -> Iterator[tuple[Node, Node]]:
    """What a step gives back, and where the next one reads it."""
    given = {spec.name: node for spec, node in zip(signature.outputs, results(model), strict=True)}
    taken = zip(signature.inputs, placeholders(model), strict=True)
    takes = {spec.name: node for spec, node in taken}
    for output, fed in signature.state.items():
        yield given[output], takes[fed]


def tie(groups: Groups, states: Iterable[tuple[Node, Node]]) -> None:
    """One scale for both ends of each state that has scales."""
    for given, taken in states:
        if given in groups and taken in groups and not groups.differ(given, taken):
            groups.join(given, taken)


def grouped(quantized: list[Node]) -> Groups:
    """Every tensor that these operators read and write, with those that share its scale."""
    groups = Groups()
    for node in quantized:
        for tensor in tensors_of(node):
            groups.add(tensor)
    moving = [node for node in quantized if str(node.target) in SAME_SCALE]
    # Those with one source first, so that what a concatenation joins is known to have a fixed
    # scale or not: pixels would force theirs, of 0 to 1, on all that they are joined with.
    for node in sorted(moving, key=lambda node: len(activations(node)) > 1):
        sources = activations(node)
        for source in sources:
            fixed = _fixed_scale(groups.head(source))
            if fixed is None or (len(sources) == 1 and _holds(fixed, padding_value(node))):
                groups.join(source, node)
    return groups


def separate(model: GraphModule, quantized: list[Node]) -> bool:
    """Put a ReLU behind what has a fixed scale and is read with another: none of it is negative, so
    only the scale changes. Runtimes have an integer ReLU from one scale to another; two quantize
    operators in a row, LiteRT's converter does not take."""
    import torch

    groups = grouped(quantized)
    moving = [node for node in quantized if str(node.target) in SAME_SCALE]
    pairs = [(node, source) for node in moving for source in activations(node)]
    pairs = [(node, each) for node, each in pairs if groups.head(node) is not groups.head(each)]
    for node, source in pairs:
        with model.graph.inserting_before(node):
            relu = model.graph.call_function(torch.ops.aten.relu.default, (source,))
        relu.meta = {"val": source.meta["val"]}
        node.replace_input_with(source, relu)
    model.recompile()
    return bool(pairs)


def _holds(fixed: Scale, padded: float | None) -> bool:
    """Whether the integers of a scale stand for a padding's value as well."""
    scale, zero_point = fixed
    low, high = (scale * (end - zero_point) for end in (-128, 127))
    return padded is None or is_unbounded(padded) or low <= padded <= high


def tensors_of(node: Node) -> list[Node]:
    """Tensors with a scale around an integer operator."""
    source: Any = node.args[0]
    inside = is_clamp(node) and is_fused(source)
    sources = [] if inside else activations(node)
    return sources if is_fused(node) else [*sources, node]


class Groups:
    """Tensors that share one scale (union-find); the first in the graph is a group's head."""

    def __init__(self) -> None:
        self._parent: dict[Node, Node] = {}

    def __contains__(self, node: Node) -> bool:
        return node in self._parent

    def add(self, node: Node) -> None:
        """A group of its own, unless it is in one."""
        self._parent.setdefault(node, node)

    def head(self, node: Node) -> Node:
        """The first tensor of a group."""
        while self._parent[node] is not node:
            node = self._parent[node]
        return node

    def fixed(self, node: Node) -> Scale | None:
        """The scale and zero point that one of a group's tensors prescribes to all."""
        scales = map(_fixed_scale, self.members(node))
        return next((scale for scale in scales if scale is not None), None)

    def members(self, node: Node) -> list[Node]:
        """The tensors of a group."""
        head = self.head(node)
        return [each for each in self._parent if self.head(each) is head]

    def differ(self, one: Node, other: Node) -> bool:
        """Whether two groups have scales prescribed that are not the same."""
        scales = {self.fixed(one), self.fixed(other)} - {None}
        return len(scales) > 1

    def join(self, one: Node, other: Node) -> None:
        """One group of two."""
        first, second = sorted((self.head(one), self.head(other)))
        self._parent[second] = first
