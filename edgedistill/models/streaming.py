"""Models of sound that hear a whole window, or go on from the last step.

A layer that sees several frames is written once: it asks for what came `before` and joins it with
what is new. Of a whole window nothing came before; in a step it is a state, the last frames that
the layer read. So the step's answer is the window's that ends there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from edgedistill.errors import UserError
from edgedistill.families.sound import SoundModel
from edgedistill.signature import (
    Inputs,
    Layout,
    Signature,
    TensorSpec,
    in_words,
    sound_inputs,
    sound_length,
)


class Before(Protocol):
    """What a model heard before the samples that it is given."""

    def join(self, name: str, new: Tensor, keep: int, axis: int) -> Tensor:
        """`new` (batch, ...), after the `keep` places along `axis` that came before it."""


class Nothing:
    """Before a whole window."""

    def join(self, name: str, new: Tensor, keep: int, axis: int) -> Tensor:
        """`new` alone."""
        return new


class Rings:
    """Before a step: the states, taken up in the order in which the layers run. Without any, each
    is zero, of the size that is asked for: so a model finds out which it has, as wide as pruning
    left it."""

    def __init__(self, states: Iterable[Tensor] | None = None) -> None:
        self._states = None if states is None else iter(states)
        self.next: dict[str, Tensor] = {}
        """What each is for the next step, by its name."""

    def join(self, name: str, new: Tensor, keep: int, axis: int) -> Tensor:
        """`new` after the state; the last `keep` places of both are the next step's."""
        if not keep:
            return new
        if self._states is None:
            state = new.new_zeros([keep if at == axis else n for at, n in enumerate(new.shape)])
        else:
            state = next(self._states)
        joined = torch.cat((state, new), axis)
        self.next[name] = joined.narrow(axis, new.shape[axis], keep)
        return joined


class Streaming(nn.Module):
    """A model of windows of samples with a second program, `step`. Subclasses give `hop` and
    `advance`."""

    hop: int
    """Samples that a step takes."""

    def advance(self, samples: Tensor, before: Before) -> Tensor:
        """Logits (batch, classes) of the window that ends with samples (batch, any) in -1..1."""
        raise NotImplementedError

    def forward(self, samples: Tensor) -> Tensor:
        """Logits (batch, classes) of samples (batch, window) in -1..1."""
        return self.advance(samples, Nothing())

    def step(self, samples: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits (batch, classes) of the window that ends with samples (batch, hop), and the next
        step's states."""
        rings = Rings(states)
        return self.advance(samples, rings), *rings.next.values()

    def programs(self) -> dict[str, tuple[Callable[..., Any], Signature]]:
        """`step`, beside the whole window's `main`. From states of zero, its answers are the
        window's once it heard as many samples as a window has."""
        modes = {module: module.training for module in self.modules()}
        samples = torch.zeros(1, self.hop, device=next(self.parameters()).device)
        rings = Rings()
        try:
            with torch.no_grad():
                logits = self.eval().advance(samples, rings)
        finally:
            for module, mode in modes.items():
                module.training = mode
        return {"step": (self.step, _signature(samples, logits, rings.next))}


def _signature(samples: Tensor, logits: Tensor, states: dict[str, Tensor]) -> Signature:
    def ends(side: str) -> list[TensorSpec]:
        return [_spec(f"{name}_{side}", state) for name, state in states.items()]

    given = TensorSpec("logits", (None, logits.shape[1]), "NC")
    return Signature(
        (*sound_inputs(samples.shape[1]), *ends("in")), (given, *ends("out")),
        {f"{name}_out": f"{name}_in" for name in states},
    )  # fmt: skip


def _spec(name: str, state: Tensor) -> TensorSpec:
    """Four axes are (batch, channels, time, bands), which a runtime lays out in its own order."""
    layout: Layout = "NCHW" if state.dim() == 4 else ""
    return TensorSpec(name, (None, *state.shape[1:]), layout)


def required_samples(inputs: Inputs, label: str) -> int:
    """Samples of a window, for a family of sound. Raises UserError: the data are no sound."""
    length = sound_length(inputs)
    if length is None:
        raise UserError(
            f"model `{label}` takes sound, the data are {in_words(inputs)}",
            "give `data.sound` where the data are recordings; else take another model",
        )
    return length


def places_of(length: int, hop: int, stride: int, seen: int, model: SoundModel) -> int:
    """Places in time that a window of `length` samples leaves of a layer's outputs, one for every
    `stride` hops of `hop` samples, where an output sees `seen` hops.

    Raises UserError: the window is shorter than what is seen.
    """
    rate = model.front_end.rate
    if length < seen * hop:
        raise UserError(
            f"model `{model.family}` sees {seen * hop / rate:g} s at once, and a window is "
            f"{length / rate:g} s",
            "lengthen `data.sound.seconds`, or let the model see less: fewer blocks, smaller "
            "kernels and dilations in time",
        )
    return (length - seen * hop) // (hop * stride) + 1


def check_whole(length: int, step: int, model: SoundModel) -> None:
    """Raises UserError: a window of `length` samples is no whole number of `step`."""
    if length % step:
        nearest = max(1, round(length / step)) * step / model.front_end.rate
        raise UserError(
            f"model `{model.family}` hears {step} samples at a time, and a window has {length}: no "
            "whole number of those",
            f"set `data.sound.seconds` to {nearest:g}",
        )
