"""What the answers of a student that generates are worth, token by token.

Teacher and student are forced over the same prefix: the labels', or the teacher's own output.
Logits are (batch, length, vocabulary), float32; `counted` is (batch, length), bool, the positions
that belong to each sequence. Each loss gives (batch,), the mean over them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def top_tokens(teacher: Tensor, k: int, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """The `k` likeliest tokens at each position, (batch, length, k), int64, and their logarithms
    of probability at the temperature, float16: what is kept of a teacher's distribution."""
    import torch

    likely = torch.log_softmax(teacher / temperature, dim=2)
    kept = likely.topk(k, dim=2)
    return kept.indices, kept.values.half()


def token_level(
    student: Tensor,
    tokens: Tensor,
    log_probabilities: Tensor,
    counted: Tensor,
    temperature: float = 1.0,
) -> Tensor:
    """KL(teacher || student) over each next token, times T^2 (Hinton et al. 2015; for sequences
    Kim & Rush 2016, "Sequence-Level Knowledge Distillation", section 3.1).

    tokens, log_probabilities: as `top_tokens` gives them at this temperature. All other tokens
    count as one, on both sides; with all tokens given this is the whole divergence, with fewer it
    is below it.
    """
    import torch

    own = torch.log_softmax(student / temperature, dim=2).gather(2, tokens)
    other = log_probabilities.to(own.dtype)
    shares = other.exp()
    value = (shares * (other - own)).sum(2)
    if tokens.shape[2] < student.shape[2]:
        least = torch.finfo(own.dtype).eps
        rest = (1 - shares.sum(2)).clamp(min=0)
        missed = (1 - own.exp().sum(2)).clamp(min=least)
        value = value + rest * (rest.clamp(min=least).log() - missed.log())
    return _mean(value, counted) * temperature**2


def sequence_level(
    student: Tensor, tokens: Tensor, counted: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Cross entropy with one whole output of the teacher, such as its beam search's, as if it were
    the label (Kim & Rush 2016, section 3.2). tokens: (batch, length), int64."""
    from torch.nn import functional as F

    value = F.cross_entropy(
        student.transpose(1, 2), tokens, reduction="none", label_smoothing=smoothing
    )
    return _mean(value, counted)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    there = counted.to(values.dtype)
    return (values * there).sum(1) / there.sum(1).clamp(min=1)
