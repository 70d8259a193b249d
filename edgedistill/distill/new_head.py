"""A new output layer on a pretrained body, fitted before the whole is trained.

Gradients that come through a random layer change the body most while they know least; a layer that
fits already leaves it as it was pretrained (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained
Features and Underperform Out-of-Distribution", section 4: linear probing, then fine-tuning).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgedistill.data import Split, open_split
from edgedistill.distill.logistic import Floats, Ids, fit
from edgedistill.models import accelerated, origin
from edgedistill.models.outer import output_layers
from edgedistill.predict import torch_predictor
from edgedistill.signature import Inputs, blank, image_size
from edgedistill.tasks import Task
from edgedistill.tasks.labels import OneClass

SAMPLES = 5000
"""At most, for training and for validation each; of more, the fit hardly tells."""
AT_ONCE = 128
Tick = Callable[[float, float, str], None]
"""Told how many samples were looked at, of how many, and what for."""


def fit_new_head(
    module: nn.Module, data: Path, seen: Inputs, task: Task, seed: int, tick: Tick
) -> bool:
    """Where the module's output layer is new, a linear one, and its answer is one class: set it to
    logistic regression on what the body, as it was pretrained, makes of the labelled training
    samples. Tells whether it did; all else of the module stays.

    data: the artifact of the stage `data`; seen: what the module takes.
    """
    layer = _new_layer(module, seen)
    if layer is None or task.by_texts or not isinstance(task.labels, OneClass):
        return False
    splits = [open_split(data, name, image_size(seen)) for name in ("train", "validation")]
    chosen = [_labelled(split, seed) for split in splits]
    labels = [split.labels[ids] for split, ids in zip(splits, chosen, strict=True)]
    if len(np.unique(labels[0])) != layer.out_features or not len(labels[1]):
        return False
    found: list[list[Floats]] = [[], []]
    done, total = 0, sum(map(len, chosen))
    embed = _embedding(accelerated(module), layer)
    for split, ids, rows in zip(splits, chosen, found, strict=True):
        for start in range(0, len(ids), AT_ONCE):
            rows.append(embed(*split.inputs(ids[start : start + AT_ONCE]).values()))
            done += len(rows[-1])
            tick(done, total, "for the new output layer")
    module.to("cpu")
    inside, tried = map(np.concatenate, found)
    if inside.ndim != 2 or not (np.isfinite(inside).all() and np.isfinite(tried).all()):
        return False
    weights, bias = fit(inside, labels[0], tried, labels[1])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights.T))
        layer.bias.copy_(torch.from_numpy(bias))
    return True


def _new_layer(module: nn.Module, seen: Inputs) -> nn.Linear | None:
    if not origin(module).new_head:
        return None
    names = output_layers(module, *blank(seen))
    layer = module.get_submodule(names[0]) if len(names) == 1 else None
    return layer if isinstance(layer, nn.Linear) and layer.bias is not None else None


def _labelled(split: Split, seed: int) -> Ids:
    """Of the samples whose label is known, `SAMPLES` by lot, in order."""
    known = np.flatnonzero(split.labels >= 0)
    if len(known) > SAMPLES:
        known = np.random.default_rng([seed, 3]).permutation(known)[:SAMPLES]
    return np.sort(known)


def _embedding(module: nn.Module, layer: nn.Linear) -> Callable[..., Floats]:
    """The module's inputs to what reaches the layer, (samples, ...), in evaluation mode."""

    def ask(*inputs: Any) -> Any:
        reached: list[Any] = []
        hook = layer.register_forward_pre_hook(lambda _, given: reached.append(given[0]))
        try:
            module(*inputs)
        finally:
            hook.remove()
        return reached[-1]

    module.eval()
    return torch_predictor(module, ask=ask)
