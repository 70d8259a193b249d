"""A model that trains no more, made faster."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

FUSED: dict[type, Callable[[Any, Any], nn.Module]] = {
    nn.Conv1d: fuse_conv_bn_eval,
    nn.Conv2d: fuse_conv_bn_eval,
    nn.Conv3d: fuse_conv_bn_eval,
    nn.Linear: fuse_linear_bn_eval,
}


def fused(model: nn.Module, listened: Sequence[nn.Module] = ()) -> nn.Module:
    """A copy in evaluation mode, each batch norm taken into the layer before it where nothing
    else reads that layer and neither is one of `listened`. Its layers keep their names. Of a model
    whose graph torch.fx cannot trace (control flow that depends on values), the copy as it is.
    """
    kept = {name for name, module in model.named_modules() if any(module is m for m in listened)}
    made = copy.deepcopy(model).eval()
    try:
        graph = torch.fx.symbolic_trace(made).graph
    except Exception:
        # Tracing runs the model's own code on stand-ins, which may raise anything.
        return made
    called = Counter(node.target for node in graph.nodes if node.op == "call_module")
    modules = dict(made.named_modules())
    for node in graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
            continue
        before = node.args[0]
        layer = modules.get(str(before.target)) if before.op == "call_module" else None
        names = {str(node.target), str(before.target)}
        if type(layer) not in FUSED or len(before.users) > 1 or names & kept:
            continue
        if any(called[name] > 1 for name in names):
            continue
        made.set_submodule(str(before.target), FUSED[type(layer)](layer, norm))
        made.set_submodule(str(node.target), nn.Identity())
    return made
