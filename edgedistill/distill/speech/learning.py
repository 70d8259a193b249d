"""What a recognizer learns from its teacher's transcripts, in the form that `train.train` takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgedistill.data.loading import epoch_order
from edgedistill.distill.sequences import sequence_level, token_level
from edgedistill.distill.speech.transcripts import Transcripts

if TYPE_CHECKING:
    from edgedistill.data.speech.utterances import Utterances
    from edgedistill.models.whisper.network import Whisper

_NEVER = -60.0
"""Logarithm of a probability that is none."""


@dataclass(frozen=True)
class Batch:
    """Utterances of several lengths, on the device that trains."""

    tokens: Tensor
    """(batch, length), int64: the prompt, and what is said but for the last token."""
    target: Tensor
    """(batch, length), int64: the token that follows each."""
    counted: Tensor
    """(batch, length), bool: where something of the transcript follows."""
    likely: Tensor
    """(batch, length, k), int64: the teacher's likeliest tokens that follow."""
    log_probabilities: Tensor
    """(batch, length, k): theirs."""
    samples: Tensor | None = None
    """(batch, window): what is heard."""
    states: Tensor | None = None
    """(batch, positions, width): the encoder's, where they are kept."""

    def logits(self, model: Whisper) -> Tensor:
        """A model's (batch, length, vocabulary)."""
        logits: Tensor = model.decoder(self.tokens, model.decoder.cross(self.heard(model)))
        return logits

    def heard(self, model: Whisper) -> Tensor:
        """The encoder's states, (batch, positions, width): those that are kept, or the model's."""
        if self.states is not None:
            return self.states
        assert self.samples is not None, "neither samples nor states"
        return model.states(self.samples)


@dataclass(frozen=True)
class Lessons:
    """Utterances with their transcripts, and how a batch is made of them."""

    split: Utterances
    transcripts: Transcripts
    ids: NDArray[np.int64]
    """The utterances to learn from."""
    prompt: Sequence[int]
    """What begins each transcript."""
    seed: int
    states: NDArray[np.float16] | None = None
    """(utterances, positions, width), the encoder's, where it stays as it is."""

    def __len__(self) -> int:
        return len(self.ids)

    def view(self, epoch: int) -> int:
        """Each epoch sees the same."""
        return 0

    def order(self, batch_size: int, epoch: int) -> list[NDArray[np.int64]]:
        """The utterances of each batch of an epoch, (batch,) each; of like length, so that little
        is computed for nothing."""
        shuffled = np.concatenate(epoch_order(len(self), batch_size, self.seed, epoch))
        counts = np.diff(self.transcripts.offsets)[self.ids[shuffled]]
        parts = np.split(np.argsort(counts, kind="stable"), len(shuffled) // batch_size)
        random = np.random.default_rng([self.seed, epoch, 2])
        return [self.ids[shuffled[parts[each]]] for each in random.permutation(len(parts))]

    def batches(
        self, order: Sequence[NDArray[np.int64]], view: int, device: torch.device
    ) -> Iterator[Batch]:
        """Each array of ids (batch,) as a batch on the device."""
        for ids in order:
            yield self._batch(ids, device)

    def loss(self, objective: nn.Module, batch: Batch, view: int) -> Tensor:
        """A scalar."""
        value: Tensor = objective(batch)
        return value

    def _batch(self, ids: NDArray[np.int64], device: torch.device) -> Batch:
        held = [self.transcripts.places(int(each)) for each in ids]
        longest = max(each.stop - each.start for each in held)
        first, k = len(self.prompt) - 1, self.transcripts.likely.shape[1]
        size = (len(ids), first + longest)
        tokens, counted = np.zeros((*size,), np.int64), np.zeros(size, np.bool_)
        target = np.zeros(size, np.int64)
        likely = np.zeros((*size, k), np.int64)
        shares = np.full((*size, k), _NEVER, np.float32)
        tokens[:, : first + 1] = self.prompt
        for row, places in enumerate(held):
            said, end = self.transcripts.tokens[places], first + places.stop - places.start
            tokens[row, first + 1 : end] = said[:-1]
            target[row, first:end] = said
            counted[row, first:end] = True
            likely[row, first:end] = self.transcripts.likely[places]
            shares[row, first:end] = self.transcripts.log_probabilities[places]
        heard = {"samples": self.split.inputs(ids)["samples"]} if self.states is None else {
            "states": self.states[ids].astype(np.float32)
        }  # fmt: skip
        arrays = {
            "tokens": tokens, "target": target, "counted": counted, "likely": likely,
            "log_probabilities": shares.clip(min=_NEVER), **heard,
        }  # fmt: skip
        return Batch(**{name: torch.from_numpy(each).to(device) for name, each in arrays.items()})


class Distilled(nn.Module):
    """A student and what is asked of it: to give each next token the teacher's probability, and to
    say what the teacher said (Kim and Rush 2016; Gandhi et al. 2023, "Distil-Whisper")."""

    def __init__(
        self, student: Whisper, soft: float = 0.8, hard: float = 1.0, temperature: float = 1.0,
        bf16: bool = False, encoder: bool = False,
    ) -> None:  # fmt: skip
        """soft, hard: weights of the two; encoder: whether it learns too."""
        super().__init__()
        self.student = student
        self.soft, self.hard, self.temperature = soft, hard, temperature
        self.bf16 = bf16
        for parameter in student.encoder.parameters():
            parameter.requires_grad_(encoder)

    def forward(self, batch: Batch) -> Tensor:
        """The mean loss of a batch, a scalar."""
        with torch.autocast(batch.tokens.device.type, torch.bfloat16, enabled=self.bf16):
            logits = batch.logits(self.student)
        logits, value = logits.float(), torch.zeros(())
        if self.soft:
            value = value + self.soft * token_level(
                logits, batch.likely, batch.log_probabilities, batch.counted, self.temperature
            )
        if self.hard:
            value = value + self.hard * sequence_level(logits, batch.target, batch.counted)
        return value.mean()


def renumbered(transcripts: Transcripts, kept: Sequence[int], count: int) -> Transcripts:
    """The same in a vocabulary of the tokens `kept` of `count`, by their places there. A likely
    token that is not kept is given no probability; what was said is -1 there."""
    place = np.full(count, -1, np.int32)
    place[np.asarray(kept)] = np.arange(len(kept))
    likely = place[transcripts.likely]
    shares = np.where(likely < 0, np.float16(_NEVER), transcripts.log_probabilities)
    return replace(
        transcripts, tokens=place[transcripts.tokens], likely=np.maximum(likely, 0),
        log_probabilities=shares,
    )  # fmt: skip


def sayable(transcripts: Transcripts) -> NDArray[np.bool_]:
    """(utterances,): whether something is said at all, and all of it has a token, as `renumbered`
    leaves it."""
    lost = np.concatenate([[0], np.cumsum(transcripts.tokens < 0)])
    whole: NDArray[np.bool_] = lost[transcripts.offsets[1:]] == lost[transcripts.offsets[:-1]]
    return whole & (np.diff(transcripts.offsets) > 0)
