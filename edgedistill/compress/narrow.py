"""Narrower layers for a recognizer, without training: what goes is what the rest can make up for
best."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from edgedistill.compress.surgeon import Narrowed, narrowed
from edgedistill.models.whisper.network import Attention, DecoderLayer, Layer

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


@dataclass(frozen=True)
class Width:
    """Of each layer of a part."""

    heads: int
    """Of each attention."""
    inner: int
    """Channels of the feed-forward layer."""


def narrow_encoder(model: Whisper, width: Width, lessons: Lessons, tick: Tick) -> tuple[float, ...]:
    """Leave so much of each of the encoder's layers, in place, by what is heard in some of the
    utterances that are learned from.

    The first layer comes first, so that each makes up for those before it too. Returns for each
    attention and feed-forward layer that was narrowed the share of its outputs' variance that is
    lost.
    """
    flow = []
    for batch in _batches(lessons, _WINDOWS):
        assert batch.samples is not None, "states of another encoder"
        with torch.no_grad():
            flow.append(model.encoder.embedded(model.log_mel(batch.samples)))
    lost = _in_turn(model.encoder.layers, flow, _encoded, width, tick)
    shape = model.shape
    model.shape = replace(
        shape, encoder_heads=width.heads, encoder_inner=width.inner,
        encoder_head=shape.encoder_head or shape.width // shape.encoder_heads,
    )  # fmt: skip
    return lost


def narrow_decoder(model: Whisper, width: Width, lessons: Lessons, tick: Tick) -> tuple[float, ...]:
    """The same of the decoder, forced over the transcripts."""
    with torch.no_grad():
        flow = [
            (model.decoder.embedded(batch.tokens), batch.heard(model))
            for batch in _batches(lessons, _TRANSCRIPTS)
        ]
    lost = _in_turn(model.decoder.layers, flow, _decoded, width, tick)
    shape = model.shape
    model.shape = replace(
        shape, decoder_heads=width.heads, decoder_inner=width.inner,
        decoder_head=shape.decoder_head or shape.width // shape.decoder_heads,
    )  # fmt: skip
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
    width: Width, tick: Tick,
) -> tuple[float, ...]:  # fmt: skip
    """Narrow each layer by what those before it, narrowed, give."""
    lost: list[float] = []
    all_ = [each for each in layers if isinstance(each, Layer)]
    for number, layer in enumerate(all_):
        hear = functools.partial(_fed, call, layer, flow)
        for name, each in layer.named_children():
            if isinstance(each, Attention) and width.heads < each.heads:
                narrower, error = _fewer_heads(each, width.heads, hear)
                setattr(layer, name, narrower)
                lost.append(error)
        if width.inner < layer.fc1.out_features:
            lost.append(_narrow(layer, width.inner, hear))
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


def _fewer_heads(
    whole: Attention, heads: int, hear: Callable[[], object]
) -> tuple[Attention, float]:
    width, head = whole.out_proj.out_features, whole.out_proj.in_features // whole.heads
    found, bias = _fitted(whole.out_proj, heads, head, hear)
    left = Attention(width, heads, head)
    with torch.no_grad():
        for name in ("k_proj", "v_proj", "q_proj"):
            _rows(getattr(whole, name), getattr(left, name), found.kept)
        left.out_proj.weight.copy_(found.weight)
        left.out_proj.bias.copy_(bias)
    return left, found.error


def _narrow(layer: Layer, inner: int, hear: Callable[[], object]) -> float:
    first, second = layer.fc1, layer.fc2
    found, bias = _fitted(second, inner, 1, hear)
    layer.fc1 = nn.Linear(first.in_features, inner)
    layer.fc2 = nn.Linear(inner, second.out_features)
    with torch.no_grad():
        _rows(first, layer.fc1, found.kept)
        layer.fc2.weight.copy_(found.weight)
        layer.fc2.bias.copy_(bias)
    return found.error


def _rows(whole: nn.Linear, left: nn.Linear, kept: Tensor) -> None:
    """Give a layer of fewer outputs what the whole one has for them."""
    left.weight.copy_(whole.weight[kept])
    if whole.bias is not None:
        left.bias.copy_(whole.bias[kept])


def _fitted(
    linear: nn.Linear, keep: int, group: int, hear: Callable[[], object]
) -> tuple[Narrowed, Tensor]:
    """What stays of a layer's inputs, and its bias then: weights make up for what varies, the bias
    for the mean of what is lost."""
    mean, spread = _moments(linear, hear)
    weight = linear.weight.detach()
    found = narrowed(weight, spread, keep, group)
    lost = weight.double() @ mean - found.weight.double() @ mean[found.kept]
    return found, linear.bias.detach() + lost


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
