"""Average pools that converters write otherwise, or not at all, spelled out in what they all write
alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node


def spell_out_pools(graph: GraphModule) -> None:
    """Write average pools in what every runtime computes alike, in place.

    An adaptive pool of even windows becomes the plain pool that it is: integer pools keep the scale
    of their input, which the quantizer knows of plain ones. One that divides by anything else than
    its window's size becomes zeros around the image, a plain pool, and a constant for each place.

    ONNX has no divisor of one's own, runtimes disagree on what a window counts that ends beyond the
    padding, and LiteRT has such pools only as a loop over windows. Before quantization, so that
    each of the three has a scale.
    """
    import torch

    pool, adaptive = torch.ops.aten.avg_pool2d.default, torch.ops.aten.adaptive_avg_pool2d.default
    for node in list(graph.graph.nodes):
        if node.target is adaptive and (window := _even_window(node)) is not None:
            node.target, node.args = pool, (node.args[0], window, window)
        if node.target is pool and _counts_otherwise(node):
            _spell_out(graph, node)


def _even_window(node: Node) -> list[int] | None:
    """Of an adaptive pool whose windows are alike and cover the image once; None for another, and
    for one value of a whole image, which is a mean and may have any scale."""
    source: Any = node.args[0]
    after = _pair(node.args[1])
    if after == [1, 1]:
        return None
    before = [int(size) for size in source.meta["val"].shape[-2:]]
    if any(one % other for one, other in zip(before, after, strict=True)):
        return None
    return [one // other for one, other in zip(before, after, strict=True)]


def _arguments(node: Node) -> tuple[Any, Any, Any, bool, bool, Any]:
    """(kernel, stride, padding, ceil mode, whether padding counts, divisor)."""
    given = [*node.args[1:], *[None] * 6]
    kernel, stride, padding, ceil, counted, divisor = (
        given[place] if given[place] is not None else node.kwargs.get(name, default)
        for place, (name, default) in enumerate(
            (("kernel_size", None), ("stride", []), ("padding", [0, 0]), ("ceil_mode", False),
             ("count_include_pad", True), ("divisor_override", None))
        )
    )  # fmt: skip
    kernel, padding = _pair(kernel), _pair(padding)
    return kernel, _pair(stride) or kernel, padding, bool(ceil), bool(counted), divisor


def _pair(value: Any) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * 2 if len(values) == 1 else values


def _counts_otherwise(node: Node) -> bool:
    _, _, padding, ceil, counted, divisor = _arguments(node)
    return divisor is not None or _overhangs(node, ceil) or (any(padding) and not counted)


def _overhangs(node: Node, ceil: bool) -> bool:
    return ceil and any(end > 0 for end in _beyond(node))


def _beyond(node: Node) -> list[int]:
    """Rows and columns past the padding that the last windows reach."""
    kernel, stride, padding, *_ = _arguments(node)
    source: Any = node.args[0]
    before, after = source.meta["val"].shape[-2:], node.meta["val"].shape[-2:]
    return [
        (int(after[axis]) - 1) * stride[axis] + kernel[axis] - int(before[axis]) - 2 * padding[axis]
        for axis in range(2)
    ]


def _spell_out(graph: GraphModule, node: Node) -> None:
    import torch

    kernel, stride, padding, ceil, counted, divisor = _arguments(node)
    source: Any = node.args[0]
    height, width = (max(0, end) for end in _beyond(node))
    ones = torch.ones(1, 1, *(int(size) for size in source.meta["val"].shape[-2:]))
    window = kernel[0] * kernel[1]
    # What torch itself makes of ones says how many it counts at each place.
    mean = torch.nn.functional.avg_pool2d(ones, kernel, stride, padding, ceil, counted, divisor)
    around = [padding[1], padding[1] + width, padding[0], padding[0] + height]
    inside = torch.nn.functional.pad(ones, around)
    summed = torch.nn.functional.avg_pool2d(inside, kernel, stride) * window
    shares = mean * window / summed
    name = f"{node.name}_shares"
    graph.register_buffer(name, shares)
    aten: Any = torch.ops.aten
    with graph.graph.inserting_before(node):
        padded = graph.graph.call_function(aten.constant_pad_nd.default, (source, around, 0.0))
        pooled = graph.graph.call_function(aten.avg_pool2d.default, (padded, kernel, stride))
        scaled = graph.graph.call_function(aten.mul.Tensor, (pooled, graph.graph.get_attr(name)))
    for new in (padded, pooled, scaled):
        new.meta = {key: value for key, value in node.meta.items() if key != "val"}
    scaled.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(scaled)
    graph.graph.erase_node(node)
