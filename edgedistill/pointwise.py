"""Around a fault of oneDNN: on processors with AVX-512 the gradient of a strided 1x1 convolution's
weight, of fewer than 16 input channels laid out channels-last, reads beyond its memory, and the
process ends (oneDNN of torch 2.14; with AVX2, or 16 channels, it is right)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_FEW = 16
_CALLS = (functional.conv2d, torch.conv2d, torch.ops.aten.conv2d.default)


class _Taken(TorchFunctionMode):
    """Such a convolution reads every n-th place of its input instead of striding over it, which is
    the same."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        given = dict(kwargs or {})
        if func in _CALLS:
            named = dict(zip(("input", "weight", "bias", "stride"), args, strict=False)) | given
            rows, columns = _pair(named.get("stride", 1))
            if max(rows, columns) > 1 and _risky(named["weight"]):
                return functional.conv2d(
                    named["input"][:, :, ::rows, ::columns], named["weight"], named.get("bias")
                )
        return func(*args, **given)


def _pair(stride: Any) -> tuple[int, int]:
    several = tuple(stride) if isinstance(stride, tuple | list) else (stride,)
    return (several * 2)[:2]


def _risky(weight: Tensor) -> bool:
    return weight.dim() == 4 and weight.shape[2:] == (1, 1) and 1 < weight.shape[1] < _FEW


def safe_pointwise(module: nn.Module) -> AbstractContextManager[object]:
    """While a module is trained on this processor: what keeps it from the fault, if it could meet
    it; else nothing."""
    if "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return nullcontext()
    return _Taken() if any(map(_risky, module.parameters())) else nullcontext()
