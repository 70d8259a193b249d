"""Greedy decoding of many windows at once, in torch: how a teacher labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgedistill.transcribing.decoding import Decoded
from edgedistill.transcribing.rules import Rules

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.models.whisper.network import Pair, Whisper


@dataclass(frozen=True)
class Labelled:
    """A transcript, and what its maker thought of each place."""

    decoded: Decoded
    tokens: NDArray[np.int32]
    """(length, k): the likeliest at each place, that of the end with them."""
    log_probabilities: NDArray[np.float16]
    """(length, k): theirs, natural, nothing suppressed."""


def label(model: Whisper, states: Tensor, rules: Rules, k: int) -> list[Labelled]:
    """What `decoding.greedy` says without guards of each window, with the `k` likeliest tokens at
    each place.

    states: the encoder's, (batch, positions, width). A window that has ended is computed on with
    the others, and not read.
    """
    import torch

    from edgedistill.distill.sequences import top_tokens

    rows = len(states)
    said = torch.empty(rows, 0, dtype=torch.int64)
    likely: list[tuple[Tensor, Tensor]] = []
    sure: list[Tensor] = []
    with torch.no_grad():
        cross = model.decoder.cross(states)
        no_speech, logits, before = _prompted(model, rules, cross, rows)
        ended = torch.zeros(rows, dtype=torch.bool)
        while True:
            tokens, shares = top_tokens(logits[:, None], k)
            likely.append((tokens[:, 0], shares[:, 0]))
            logits[:, list(rules.suppressed)] = -torch.inf
            if not said.shape[1]:
                logits[:, list(rules.suppressed_first)] = -torch.inf
            best = logits.argmax(1)
            sure.append(torch.log_softmax(logits.double(), 1).gather(1, best[:, None])[:, 0])
            said = torch.cat((said, best[:, None]), 1)
            ended |= best == rules.end
            if ended.all() or len(rules.prompt) + said.shape[1] >= rules.limit:
                break
            logits, before = model.decoder.further(best[:, None], cross, before)
    return [
        _labelled(said[row].tolist(), rules.end, [each[row] for each in sure],
                  float(no_speech[row]), [(t[row], p[row]) for t, p in likely])
        for row in range(rows)
    ]  # fmt: skip


def _prompted(
    model: Whisper, rules: Rules, cross: Sequence[Pair], rows: int
) -> tuple[Tensor, Tensor, list[Pair]]:
    """Probabilities of no speech (batch,), logits (batch, vocabulary), keys and values."""
    import torch

    no_speech = torch.zeros(rows)
    before: list[Pair] = []
    for place, token in enumerate(rules.prompt):
        logits, before = model.decoder.further(torch.full((rows, 1), token), cross, before)
        if place == 0 and rules.no_speech is not None:
            no_speech = torch.softmax(logits, 1)[:, rules.no_speech]
    return no_speech, logits, before


def _labelled(
    said: list[int], end: int, sure: list[Tensor], no_speech: float,
    likely: list[tuple[Tensor, Tensor]],
) -> Labelled:  # fmt: skip
    ended = end in said
    count = said.index(end) + 1 if ended else len(said)
    decoded = Decoded(
        tokens=tuple(said[: count - ended]),
        log_probability=float(np.mean([float(each) for each in sure[:count]])),
        no_speech=no_speech,
        ended=ended,
    )
    return Labelled(
        decoded,
        np.stack([tokens.numpy().astype(np.int32) for tokens, _ in likely[:count]]),
        np.stack([shares.numpy() for _, shares in likely[:count]]),
    )
