"""Which layers of a recognizer may go: each is left out in turn, and what that costs is measured on
its own transcripts, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edgedistill.distill.speech.learning import Batch
    from edgedistill.models.whisper.network import Whisper

Part = Literal["encoder", "decoder"]


@dataclass(frozen=True)
class Trial:
    """A model of some of the layers, forced over the transcripts of the whole."""

    part: Part
    layers: tuple[int, ...]
    """Those that stay, by their numbers in the whole."""
    cross_entropy: float
    """Of a token, natural."""
    accuracy: float
    """Share of the places at which its likeliest token is the transcript's, in percent."""


@dataclass(frozen=True)
class Ablation:
    """All that was tried, in order, and what stays."""

    trials: tuple[Trial, ...]
    kept: tuple[int, ...]


def ablate(
    model: Whisper,
    part: Part,
    count: int,
    batches: Callable[[], Iterator[Batch]],
    tick: Callable[[int, int], None],
) -> Ablation:
    """Backward elimination down to `count` layers: of those left, the one goes without which the
    cross entropy is lowest. As Men et al. 2024, "ShortGPT", remove layers whole, but judged by what
    is lost, and again after each.

    batches: the utterances to judge on, anew at each call; with samples where `part` is the
    encoder.
    """
    layers = tuple(range(len(getattr(model, part).layers)))
    total = sum(range(count + 1, len(layers) + 1)) + 1
    trials = [_tried(model, part, layers, batches)]
    while len(layers) > count:
        row = []
        for gone in layers:
            left = tuple(each for each in layers if each != gone)
            row.append(_tried(model, part, left, batches))
            tick(len(trials) + len(row), total)
        trials += row
        layers = min(row, key=lambda each: each.cross_entropy).layers
    return Ablation(tuple(trials), layers)


def tried(
    model: Whisper, part: Part, layers: Sequence[int], batches: Callable[[], Iterator[Batch]]
) -> Trial:
    """What is left of a model with these layers of a part alone. The model stays as it is."""
    return _tried(model, part, tuple(layers), batches)


def _tried(
    model: Whisper, part: Part, layers: tuple[int, ...], batches: Callable[[], Iterator[Batch]]
) -> Trial:
    import torch

    lost = right = places = 0.0
    with _only(model, part, layers), torch.no_grad():
        for batch in batches():
            logits, target = batch.logits(model), batch.target
            likely = torch.log_softmax(logits.float(), 2)
            here = likely.gather(2, target[..., None])[..., 0]
            lost -= float(here[batch.counted].sum())
            right += float((likely.argmax(2) == target)[batch.counted].sum())
            places += float(batch.counted.sum())
    return Trial(part, layers, lost / places, 100.0 * right / places)


@contextmanager
def _only(model: Whisper, part: Part, layers: Sequence[int]) -> Iterator[None]:
    from torch import nn

    module = getattr(model, part)
    whole = module.layers
    module.layers = nn.ModuleList(whole[each] for each in layers)
    try:
        yield
    finally:
        module.layers = whole
