"""Training with products in bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_CONVOLUTIONS = (
    torch.conv1d, torch.conv2d, torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default,
)  # fmt: skip
"""As modules call them, and as exported graphs do."""


@contextmanager
def products_in_bf16(device: str, wanted: bool = True) -> Iterator[None]:
    """Within it torch multiplies in bfloat16, if wanted. On processors (`device`: cpu) depthwise
    convolutions that are trained stay in float32: their backward pass is slower in bfloat16, so
    much that whole models are (`benchmarks.precisions`)."""
    with torch.autocast(device, torch.bfloat16, enabled=wanted):
        if wanted and device == "cpu":
            with _DepthwiseInFloat():
                yield
        else:
            yield


class _DepthwiseInFloat(TorchFunctionMode):
    """Computes convolutions of a single channel for each filter outside of autocast, in their
    weights' own numbers."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in _CONVOLUTIONS and len(args) >= 2 and torch.is_grad_enabled():
            inputs, weight, *others = args
            if inputs.shape[1] > 1 and weight.shape[1] == 1:
                with torch.autocast("cpu", enabled=False):
                    return func(inputs.to(weight.dtype), weight, *others, **given)
        return func(*args, **given)
