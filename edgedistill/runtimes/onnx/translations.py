"""Operators that torch's exporter writes in a worse way than ONNX has for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def translations(program: Any) -> dict[Callable[..., Any], Callable[..., Any]]:
    """By operator, for what a `torch.export` program has of them."""
    nodes = list(program.graph.nodes)
    return {**_pools(nodes), **_attention(nodes)}


def _pools(nodes: Iterable[Any]) -> dict[Callable[..., Any], Callable[..., Any]]:
    """Global average pooling by the operator that has an integer kernel. With a dynamic batch the
    exporter would gather the pooled values one by one."""
    import torch
    from onnxscript import opset20

    pool = torch.ops.aten.adaptive_avg_pool2d.default
    sizes = [list(node.args[1]) for node in nodes if node.target is pool]
    if not sizes or any(size != [1, 1] for size in sizes):
        return {}

    def global_average(pixels: Any, output_size: Any) -> Any:
        return opset20.GlobalAveragePool(pixels)

    return {pool: global_average}


def _attention(nodes: Iterable[Any]) -> dict[Callable[..., Any], Callable[..., Any]]:
    """Attention without a mask, over (batch, heads, tokens, channels), with the same products: the
    exporter turns the keys by way of their shape, of which it computes parts at run time."""
    import torch
    from onnxscript import opset20

    attention = torch.ops.aten.scaled_dot_product_attention.default
    found = [node for node in nodes if node.target is attention]
    if not found or not all(map(_is_plain, found)):
        return {}

    def attend(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> Any:
        scale = opset20.Constant(value_float=float(query.shape[-1]) ** -0.25)
        turned = opset20.Transpose(key, perm=[0, 1, 3, 2])
        product = opset20.MatMul(opset20.Mul(query, scale), opset20.Mul(turned, scale))
        return opset20.MatMul(opset20.Softmax(product, axis=-1), value)

    return {attention: attend}


def _is_plain(node: Any) -> bool:
    """Four axes, with neither mask nor dropout nor a scale of its own."""
    return len(node.args) == 3 and not node.kwargs and node.args[0].meta["val"].dim() == 4
