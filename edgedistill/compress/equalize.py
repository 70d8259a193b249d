"""Cross-layer equalization: channels of like range, by moving scale from layers to readers."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgedistill.compress.operators import WEIGHTED, activations, padding_value
from edgedistill.compress.surgery import argument
from edgedistill.program import Program, export, graph_of, value

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

    from edgedistill.compress.quantize import Batch

_PASSING = {
    "aten.relu.default",
    "aten.leaky_relu.default",
    "aten.max_pool2d.default",
    "aten.avg_pool2d.default",
    "aten.adaptive_avg_pool2d.default",
    "aten.mean.dim",
}
"""Operators that scale a channel of their output by what a channel of their input is scaled by, as
long as that is above zero. ReLU6 and hard-swish are none."""
_MOST = 2.0**6
"""By which a channel is scaled, or one over it: a bound for channels that are all but dead."""


@dataclass(frozen=True)
class _Pair:
    """A layer, what its output passes through, and the layers that read it."""

    layer: Node
    seen: Node
    """The node whose range is equalized: behind the layer's activation function."""
    readers: list[Node]


def equalize(program: Program, batches: Iterable[Batch]) -> Program:
    """The same function with channels scaled so that tensors that are rounded as one have channels
    of like range (Nagel et al. 2019, section 4.1).

    With a scale for each channel of a weight, what is left to equalize is a layer's output against
    the weights that read each of its channels: by the square root of the ratio. A depthwise
    convolution has a scale for each channel that it reads, and takes all of it.
    batches: inputs in their order, (batch, ...) each, by which ranges are told.
    """
    graph = copy.deepcopy(graph_of(program))
    pairs = _pairs(graph)
    ranges = _ranges(graph, [each.seen for each in pairs], batches)
    with torch.no_grad():
        for pair in pairs:
            _scale(graph, pair, ranges[pair.seen])
    return export(graph, program.signature)


def _pairs(graph: GraphModule) -> list[_Pair]:
    reads = Counter(
        str(each.target)
        for node in graph.graph.nodes
        for each in node.all_input_nodes
        if each.op == "get_attr"
    )
    found = []
    for node in graph.graph.nodes:
        if _is_alone(graph, node, reads):
            readers = _readers(node)
            if readers and all(_is_alone(graph, each, reads) for each in readers):
                after = list(node.users)
                clamped = len(after) == 1 and "relu" in str(after[0].target)
                found.append(_Pair(node, after[0] if clamped else node, readers))
    return found


def _is_alone(graph: GraphModule, node: Node, reads: Counter[str]) -> bool:
    """Whether `node` has weights that nothing else reads."""
    if str(node.target) not in WEIGHTED:
        return False
    constants: list[Any] = [each for each in node.args[1:3] if each is not None]
    return all(
        value(graph, each) is not None and reads[str(each.target)] == 1 for each in constants
    )


def _readers(node: Node) -> list[Node] | None:
    """The layers behind operators that only pass a channel's scale on; None where anything else
    reads the channels."""
    found: list[Node] = []
    for user in node.users:
        if str(user.target) in WEIGHTED and activations(user) == [node]:
            if str(user.target).startswith("aten.linear") and not _has_channels_last(node):
                return None
            found.append(user)
            continue
        further = _readers(user) if _passes(user) else None
        if further is None:
            return None
        found += further
    return found


def _passes(node: Node) -> bool:
    name = str(node.target)
    if name == "aten.mean.dim":
        return _axes(node) == 4 and sorted(d % 4 for d in argument(node, 1, [])) == [2, 3]
    if padding_value(node) == 0.0:
        amounts: Any = node.args[1]
        return _axes(node) == 4 and len(amounts) <= 4
    if name == "aten.flatten.using_ints":
        shape = node.args[0].meta["val"].shape  # type: ignore[union-attr]
        return len(shape) == 4 and shape[2:] == (1, 1)
    return name in _PASSING


def _has_channels_last(node: Node) -> bool:
    """Whether a linear layer that reads `node` reads its channels."""
    source: Any = node
    while str(source.target) not in WEIGHTED:
        source = source.args[0]
    return _axes(node) == 2 or str(source.target).startswith("aten.linear")


def _axes(node: Node) -> int:
    source: Any = node.args[0]
    return len(source.meta["val"].shape)


def _ranges(graph: GraphModule, nodes: list[Node], batches: Iterable[Batch]) -> dict[Node, Tensor]:
    """The largest magnitude of each channel."""
    watcher = _Watcher(graph, nodes)
    with torch.no_grad():
        for each in batches:
            watcher.run(*each)
    return watcher.most


class _Watcher(torch.fx.Interpreter):
    def __init__(self, graph: GraphModule, nodes: list[Node]) -> None:
        super().__init__(graph)
        self.watched, self.most = set(nodes), dict[Any, Tensor]()

    def run_node(self, node: Node) -> Any:
        found = super().run_node(node)
        if node in self.watched:
            channels = 1 if found.dim() == 4 else found.dim() - 1
            most = found.abs().movedim(channels, 0).flatten(1).amax(1)
            self.most[node] = torch.maximum(most, self.most.get(node, most))
        return found


def _scale(graph: GraphModule, pair: _Pair, given: Tensor) -> None:
    """Divide the layer's channels, and multiply what reads them."""
    taken = [_read(graph, each) for each in pair.readers]
    live = (given > 0) & torch.stack([each.amax() > 0 for each in taken]).all()
    depthwise = all(_groups(each) == len(given) > 1 for each in pair.readers)
    read = torch.stack([each / each.amax().clamp(min=1e-30) for each in taken]).amax(0)
    by = given / given.amax().clamp(min=1e-30)
    if not depthwise:
        by = (by / read.clamp(min=1e-30)).sqrt()
        by = by / by[live].amax().clamp(min=1e-30) if bool(live.any()) else by
    by = torch.where(live, by.clamp(1 / _MOST, _MOST), 1.0)
    for argument_ in pair.layer.args[1:3]:
        held = value(graph, argument_)
        if held is not None:
            held.div_(by.view(-1, *[1] * (held.dim() - 1)))
    for each in pair.readers:
        weight = value(graph, each.args[1])
        assert weight is not None
        groups = _groups(each)
        grouped = weight.view(groups, -1, *weight.shape[1:])
        grouped.mul_(by.view(groups, 1, -1, *[1] * (weight.dim() - 2)))


def _read(graph: GraphModule, node: Node) -> Tensor:
    """The largest weight that reads each channel, as a share of the largest of its output."""
    weight = value(graph, node.args[1])
    assert weight is not None
    rows = weight.abs().flatten(1).amax(1).clamp(min=1e-30)
    shares = weight.abs() / rows.view(-1, *[1] * (weight.dim() - 1))
    groups = _groups(node)
    return (
        shares.view(groups, -1, *weight.shape[1:]).flatten(3).amax((1, 3)).flatten()
        if (weight.dim() > 2)
        else shares.amax(0)
    )


def _groups(node: Node) -> int:
    if str(node.target).startswith("aten.linear"):
        return 1
    found: int = argument(node, 6, 1)
    return found
