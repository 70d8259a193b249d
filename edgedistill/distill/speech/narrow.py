"""Narrower feed-forward layers for a recognizer, without training: what goes is what the rest can
make up for best."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from edgedistill.compress.surgeon import narrowed
from edgedistill.models.whisper.network import DecoderLayer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgedistill.distill.speech.learning import Batch, Lessons
    from edgedistill.models.whisper.network import Whisper

_BATCH = 8
_WINDOWS, _TRANSCRIPTS = 64, 512
"""Utterances that tell what the encoder and the decoder are fed, at most: a window has hundreds of
positions, a transcript some dozens of tokens."""
Tick = Callable[[int, int], None]
Given = TypeVar("Given")
"""To a layer, of a batch."""


def narrow_encoder(model: Whisper, inner: int, lessons: Lessons, tick: Tick) -> tuple[float, ...]:
    """Leave `inner` channels in each of the encoder's feed-forward layers, in place, by what is
    heard in some of the utterances that are learned from.

    The first layer comes first, so that each makes up for those before it too. Returns for each the
    share of its outputs' variance that is lost.
    """
    flow = []
    for batch in _batches(lessons, _WINDOWS):
        assert batch.samples is not None, "states of another encoder"
        with torch.no_grad():
            flow.append(model.encoder.embedded(model.log_mel(batch.samples)))
    lost = _in_turn(model.encoder.layers, flow, _encoded, inner, tick)
    model.shape = replace(model.shape, encoder_inner=inner)
    return lost


def narrow_decoder(model: Whisper, inner: int, lessons: Lessons, tick: Tick) -> tuple[float, ...]:
    """The same of the decoder, forced over the transcripts."""
    with torch.no_grad():
        flow = [
            (model.decoder.embedded(batch.tokens), batch.heard(model))
            for batch in _batches(lessons, _TRANSCRIPTS)
        ]
    lost = _in_turn(model.decoder.layers, flow, _decoded, inner, tick)
    model.shape = replace(model.shape, decoder_inner=inner)
    return lost


def _encoded(layer: nn.Module, states: Tensor) -> Tensor:
    found: Tensor = layer(states)
    return found


def _decoded(layer: nn.Module, given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    states, sound = given
    assert isinstance(layer, DecoderLayer)
    return layer(states, layer.encoder_attn.pair(sound))[0], sound


def _in_turn(
    layers: Iterable[nn.Module], flow: list[Given], call: Callable[[nn.Module, Given], Given],
    inner: int, tick: Tick,
) -> tuple[float, ...]:  # fmt: skip
    """Narrow each layer by what those before it, narrowed, give."""
    lost, all_ = [], list(layers)
    for number, layer in enumerate(all_):
        lost.append(_narrow(layer, inner, functools.partial(_fed, call, layer, flow)))
        with torch.no_grad():
            flow = _fed(call, layer, flow)
        tick(number + 1, len(all_))
    return tuple(lost)


def _fed(
    call: Callable[[nn.Module, Given], Given], layer: nn.Module, flow: list[Given]
) -> list[Given]:
    return [call(layer, each) for each in flow]


def _batches(lessons: Lessons, most: int) -> Iterator[Batch]:
    """Some of the utterances, taken evenly; those of like length together, so that few places are
    empty."""
    count = min(most, len(lessons.ids))
    ids = lessons.ids[np.linspace(0, len(lessons.ids) - 1, count).round().astype(int)]
    ids = ids[np.argsort(np.diff(lessons.transcripts.offsets)[ids], kind="stable")]
    order = [ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH)]
    return lessons.batches(order, 0, torch.device("cpu"))


def _narrow(layer: nn.Module, inner: int, hear: Callable[[], object]) -> float:
    first, second = layer.fc1, layer.fc2
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    mean, spread = _moments(second, hear)
    whole = second.weight.detach()
    found = narrowed(whole, spread, inner)
    layer.fc1 = nn.Linear(first.in_features, inner)
    layer.fc2 = nn.Linear(inner, second.out_features)
    with torch.no_grad():
        layer.fc1.weight.copy_(first.weight[found.kept])
        layer.fc1.bias.copy_(first.bias[found.kept])
        layer.fc2.weight.copy_(found.weight)
        # Weights make up for what varies, the bias for the mean of what is lost.
        lost = whole.double() @ mean - found.weight.double() @ mean[found.kept]
        layer.fc2.bias.copy_(second.bias + lost)
    return found.error


def _moments(linear: nn.Linear, hear: Callable[[], object]) -> tuple[Tensor, Tensor]:
    """Of all that a layer is fed: the mean (inputs,), and the sum of the products of each two
    inputs' differences from it (inputs, inputs); float64."""
    width = linear.in_features
    total, products = torch.zeros(width).double(), torch.zeros(width, width).double()
    count = 0

    def add(_: nn.Module, fed: tuple[Tensor, ...]) -> None:
        nonlocal count
        rows = fed[0].detach().reshape(-1, width)
        total.add_(rows.sum(0))
        products.add_(rows.T @ rows)
        count += len(rows)

    hook = linear.register_forward_pre_hook(add)
    try:
        with torch.no_grad():
            hear()
    finally:
        hook.remove()
    mean = total / max(count, 1)
    return mean, products - count * torch.outer(mean, mean)
