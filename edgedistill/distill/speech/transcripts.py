"""A teacher's transcripts of a split, as they lie on disk: tokens, and what it thought of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIELDS = ("offsets", "tokens", "likely", "log_probabilities", "sure", "no_speech", "ended")


@dataclass(frozen=True)
class Transcripts:
    """Of the utterances of a split, in order."""

    offsets: NDArray[np.int64]
    """(utterances + 1,): where each one's places begin."""
    tokens: NDArray[np.int32]
    """(places,): what is said there; the end too, where the teacher came to it."""
    likely: NDArray[np.int32]
    """(places, k): the likeliest tokens."""
    log_probabilities: NDArray[np.float16]
    """(places, k): theirs, natural."""
    sure: NDArray[np.float32]
    """(utterances,): the mean logarithm of the tokens' probability, natural."""
    no_speech: NDArray[np.float32]
    """(utterances,): the probability that nothing is said."""
    ended: NDArray[np.bool_]
    """(utterances,): whether the teacher came to an end."""

    def __len__(self) -> int:
        return len(self.sure)

    def places(self, utterance: int) -> slice:
        """Where an utterance lies in what has a row for each place."""
        return slice(int(self.offsets[utterance]), int(self.offsets[utterance + 1]))

    def said(self, utterance: int) -> NDArray[np.int32]:
        """The tokens of an utterance, its end not with them."""
        found = self.tokens[self.places(utterance)]
        return found[:-1] if self.ended[utterance] else found

    def write(self, folder: Path) -> None:
        """Write them into a folder that is there."""
        for name in _FIELDS:
            np.save(folder / f"{name}.npy", getattr(self, name))


def open_transcripts(folder: Path) -> Transcripts:
    """What `Transcripts.write` left. Raises FileNotFoundError: nothing is there."""
    held: dict[str, Any] = {
        name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _FIELDS
    }
    return Transcripts(**held)


def join(parts: Iterable[Transcripts], order: Sequence[int]) -> Transcripts:
    """One of several; order: the number of each utterance of the parts, one part behind the
    other."""
    found = list(parts)
    counts = np.concatenate([np.diff(each.offsets) for each in found])
    starts = np.concatenate([[0], np.cumsum(counts)])
    row = np.empty(len(order), np.int64)
    row[np.asarray(order)] = np.arange(len(order))
    places = np.concatenate([np.arange(starts[each], starts[each + 1]) for each in row])

    def whole(name: str) -> Any:
        return np.concatenate([getattr(each, name) for each in found])

    return Transcripts(
        offsets=np.concatenate([[0], np.cumsum(counts[row])]).astype(np.int64),
        **{name: whole(name)[places] for name in ("tokens", "likely", "log_probabilities")},
        **{name: whole(name)[row] for name in ("sure", "no_speech", "ended")},
    )
