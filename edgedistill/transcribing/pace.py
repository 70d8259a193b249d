"""How long this machine takes for a Whisper's layers: one of each is timed, with weights that mean
nothing, and all are reckoned from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgedistill.models.whisper.network import Shape

if TYPE_CHECKING:
    from torch import Tensor

Clock = Callable[[], float]
_SAID = 4.0
"""Tokens in a second of speech."""
_BEFORE = 32
"""Tokens before the one that is timed."""


def seconds_an_hour(
    shape: Shape, batch_size: int, precision: str, clock: Clock = time.perf_counter
) -> float:
    """Seconds that labelling an hour of sound takes, in whole windows of the shape's length with
    `_SAID` tokens a second.

    precision: of the encoder, `fp32` or `bf16`; clock: tells seconds.
    """
    windows = 3600 / shape.seconds
    heard = windows * _encoder(shape, precision, clock)
    said = windows / batch_size * _SAID * shape.seconds * _step(shape, batch_size, clock)
    return heard + said


def _encoder(shape: Shape, precision: str, clock: Clock) -> float:
    """Seconds that a window takes."""
    import torch

    from edgedistill.models.whisper.network import EncoderLayer

    layer = EncoderLayer(
        shape.width, shape.encoder_heads, shape.encoder_head, shape.encoder_inner
    ).eval()
    states = torch.rand(1, shape.positions, shape.width)

    def once() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            found: Tensor = layer(states)
        return found

    return shape.encoder_layers * _timed(once, clock)


def _step(shape: Shape, batch_size: int, clock: Clock) -> float:
    """Seconds that a token of each window of a batch takes."""
    import torch

    from edgedistill.models.whisper.network import DecoderLayer

    layer = DecoderLayer(
        shape.width, shape.decoder_heads, shape.decoder_head, shape.decoder_inner
    ).eval()
    part = shape.decoder_head or shape.width // shape.decoder_heads
    sound, before = (
        (torch.rand(batch_size, shape.decoder_heads, length, part),) * 2
        for length in (shape.positions, _BEFORE)
    )
    states = torch.rand(batch_size, 1, shape.width)
    embedding = torch.rand(shape.vocabulary, shape.width)
    each = _timed(lambda: layer(states, sound, before)[0], clock)
    return shape.decoder_layers * each + _timed(lambda: states @ embedding.T, clock)


def _timed(once: Callable[[], Tensor], clock: Clock) -> float:
    """Seconds: the fastest of three, after one that is not counted."""
    import torch

    taken = []
    with torch.no_grad():
        for _ in range(4):
            begin = clock()
            once()
            taken.append(clock() - begin)
    return min(taken[1:])
