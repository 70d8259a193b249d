"""A model that trains no more, made faster."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

FUSED: dict[tuple[type, type], Callable[[Any, Any], nn.Module]] = {
    (nn.Conv1d, nn.BatchNorm1d): fuse_conv_bn_eval,
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn_eval,
    (nn.Conv3d, nn.BatchNorm3d): fuse_conv_bn_eval,
}


def fused(model: nn.Module, listened: Sequence[nn.Module] = ()) -> nn.Module:
    """A copy in evaluation mode, each batch norm taken into the layer before it where nothing
    else reads that layer, nor listens to it, by `listened`, from inside or from around it. Its
    layers keep their names. A model that cannot be copied, or whose graph torch.fx cannot trace
    (control flow that depends on values), comes back as it is.
    """
    kept = {name for name, module in model.named_modules() if any(module is m for m in listened)}
    try:
        made = copy.deepcopy(model).eval()
        graph = torch.fx.symbolic_trace(made).graph
    except Exception:
        # Copying and tracing run the model's own code, which may raise anything.
        return model.eval()
    called = Counter(node.target for node in graph.nodes if node.op == "call_module")
    modules = dict(made.named_modules())
    for node in graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, _BatchNorm) or norm.running_mean is None or not node.args:
            continue
        before = node.args[0]
        name, after = str(before.target), str(node.target)
        layer = modules.get(name) if before.op == "call_module" else None
        fuse = FUSED.get((type(layer), type(norm)))
        if fuse is None or len(before.users) > 1 or called[name] + called[after] > 2:
            continue
        if any(_holds(each, name) != _holds(each, after) or each in (name, after) for each in kept):
            continue
        made.set_submodule(name, fuse(layer, norm))
        made.set_submodule(after, nn.Identity())
    return made


def _holds(outer: str, name: str) -> bool:
    return name == outer or name.startswith(outer + ".")
