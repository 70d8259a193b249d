"""Batch norm's running statistics: estimated anew for the weights that a training ended with, or
held as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

IMAGES = 2048
"""Enough to estimate from (Wu & Johnson 2021, table 3: 1,000 to 10,000)."""


def stale(model: nn.Module) -> list[_NormBase]:
    """The norms whose running statistics lag behind the weights of a model that trains: those that
    keep some, learn from batches and are not held still."""
    return [
        module
        for module in model.modules()
        if isinstance(module, _NormBase)
        and module.training
        and isinstance(module.running_mean, Tensor)
        and module.momentum != 0.0
    ]


def freeze(model: nn.Module) -> None:
    """Hold the norms that keep running statistics in evaluation mode: they take these in place of
    a batch's, and leave them as they are. Until the model's mode is set again."""
    for norm in stale(model):
        norm.eval()


def estimate(models: Sequence[nn.Module], batches: Iterable[tuple[Tensor, ...]]) -> None:
    """Set the running statistics of each model, in place, to what `batches` have under its present
    weights: precise batch norm (Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3).

    A training leaves moving averages behind, which after a few hundred steps of momentum 0.01 are
    still mostly those of the first weights. Norms take their batch's statistics, as in training;
    all else, dropout say, is as in evaluation. Norms that were not trained, or that no image
    reaches, keep theirs. torch's random state is not moved on.

    models: in training mode; batches: the models' inputs in order, as training saw them, on
    the models' device.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]), ExitStack() as stack:
        pools = [pool for model in models for pool in stack.enter_context(_pooling(model))]
        for inputs in batches:
            for model in models:
                model(*inputs)
    for pool in pools:
        pool.store()


@contextmanager
def _pooling(model: nn.Module) -> Iterator[list[_Pool]]:
    """The norms, and they alone, in training mode, each watched by a pool."""
    modes = {module: module.training for module in model.modules()}
    norms = stale(model)
    model.eval()
    pools = [_Pool(norm) for norm in norms]
    try:
        yield pools
    finally:
        for pool in pools:
            pool.close()
        for module, training in modes.items():
            module.training = training


class _Pool:
    """Mean and variance over all the batches that a norm sees.

    With a momentum of 1 its running statistics are those of the last batch, however the layer
    comes to them.
    """

    def __init__(self, norm: _NormBase) -> None:
        self._norm, self._momentum = norm, norm.momentum
        self._tracked = norm.num_batches_tracked
        self._kept = None if self._tracked is None else self._tracked.clone()
        self._before = [each.clone() for each in self._running]
        self._count = 0
        self._mean = self._square = torch.zeros((), dtype=torch.float64)
        norm.momentum, norm.training = 1.0, True
        self._hook = norm.register_forward_hook(self._see)

    @property
    def _running(self) -> tuple[Tensor, Tensor]:
        assert self._norm.running_mean is not None and self._norm.running_var is not None
        return self._norm.running_mean, self._norm.running_var

    def _see(self, norm: nn.Module, inputs: Any, output: Tensor) -> None:
        mean, variance = (each.cpu().double() for each in self._running)
        if isinstance(norm, _BatchNorm):
            # torch keeps the unbiased variance, each batch about its own mean.
            values = output.numel() // output.shape[1]
            variance = variance * (values - 1) / values + mean.square()
        self._count += 1
        self._mean = self._mean + mean
        self._square = self._square + variance

    def close(self) -> None:
        self._hook.remove()
        self._norm.momentum = self._momentum
        if self._tracked is not None and self._kept is not None:
            self._tracked.copy_(self._kept)
        for now, before in zip(self._running, self._before, strict=True):
            now.copy_(before)

    def store(self) -> None:
        """Write what was pooled; nothing where no batch came by."""
        if not self._count:
            return
        mean, variance = self._mean / self._count, self._square / self._count
        if isinstance(self._norm, _BatchNorm):
            variance = (variance - mean.square()).clamp_(min=0.0)
        for now, value in zip(self._running, (mean, variance), strict=True):
            now.copy_(value)
