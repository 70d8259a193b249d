"""Self-attention as it is exported: batch first, as it is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def batch_first(module: nn.Module) -> Iterator[None]:
    """Let `nn.MultiheadAttention` layers of a module compute what they compute without turning the
    batch behind the sequence and back, as torch's own code does: each such turn is a transpose in
    every file. Only where a layer attends to its own input, without masks; the rest is torch's."""
    from torch import nn

    layers = [
        each
        for each in module.modules()
        if isinstance(each, nn.MultiheadAttention) and _is_plain(each)
    ]
    for layer in layers:
        layer.forward = partial(_forward, layer, layer.forward)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]


def _is_plain(layer: nn.MultiheadAttention) -> bool:
    """Whether it is torch's own layer, whose `forward` is as it is known here."""
    from torch import nn

    if type(layer).forward is not nn.MultiheadAttention.forward or "forward" in vars(layer):
        return False
    extra = layer.bias_k is not None or layer.bias_v is not None or layer.add_zero_attn
    return layer.batch_first and layer.in_proj_weight is not None and not extra


def _forward(
    layer: nn.MultiheadAttention, theirs: Any, query: Tensor, key: Tensor, value: Tensor,
    key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> Any:  # fmt: skip
    masked = key_padding_mask is not None or attn_mask is not None or is_causal
    own = query is key and key is value and query.dim() == 3
    if need_weights or masked or not own or (layer.training and layer.dropout):
        return theirs(query, key, value, key_padding_mask, need_weights, attn_mask,
                      average_attn_weights, is_causal)  # fmt: skip
    return _attend(layer, query), None


def _attend(layer: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    """tokens, and what is returned: (batch, tokens, channels)."""
    from torch.nn import functional

    batch, count, channels = tokens.shape
    heads = layer.num_heads
    joined = functional.linear(tokens, layer.in_proj_weight, layer.in_proj_bias)
    parts = joined.reshape(batch, count, 3, heads, channels // heads)
    asked, keys, values = (parts.select(2, place).transpose(1, 2) for place in range(3))
    found = functional.scaled_dot_product_attention(asked, keys, values)
    answer: Tensor = layer.out_proj(found.transpose(1, 2).reshape(batch, count, channels))
    return answer
