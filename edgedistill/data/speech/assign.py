"""Which utterances go to which split: speakers whole, where they are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sound.assign import (
    TEST,
    TRAIN,
    VALIDATION,
    SoundPart,
    held_out_groups,
    shared_speakers,
    speaker_groups,
    told_of_speakers,
)
from edgedistill.data.sources import Samples
from edgedistill.data.splits import TEST_SEED
from edgedistill.errors import UserError
from edgedistill.recipe.speech import Speech

ABOVE = 1.5
"""Times a share that is held out, at most, where speakers are small enough."""


@dataclass(frozen=True)
class Assigned:
    """Who goes where."""

    parts: tuple[SoundPart, ...]
    """What lies in the places of train, and in those of test where there are any."""
    by_speaker: bool
    """Whether every speaker is known, and in one split."""
    notes: tuple[str, ...]


def assign(train: Samples, test: Samples | None, speech: Speech, seed: int) -> Assigned:
    """The split of each recording. Splits that are drawn here share no speaker that is named; the
    test set never depends on `seed`. Validation and test have recordings with and without a
    transcript where there are enough of both.

    Raises UserError: too few speakers or recordings to part.
    """
    count = len(train.labels)
    named = train.speakers is not None and any(train.speakers)
    groups = speaker_groups(train.speakers or (None,) * count)
    _check_enough(groups, 3 if test is None else 2, named)
    known = np.array([text is not None for text in train.texts or (None,) * count], np.int64)
    codes = np.full(count, TRAIN, np.int8)
    if test is None:
        codes[_with_two_left(_drawn(known, groups, speech.test_share, TEST_SEED), groups)] = TEST
    pool = np.flatnonzero(codes == TRAIN)
    codes[pool[_drawn(known[pool], groups[pool], speech.validation, seed)]] = VALIDATION
    parts = [SoundPart(train, codes)]
    if test is not None:
        parts.append(SoundPart(test, np.full(len(test.labels), TEST, np.int8)))
    unnamed = _unnamed(parts)
    where, shared = shared_speakers(parts)
    notes = [told_of_speakers(where, shared, "recordings"), *_told(unnamed, parts)]
    if not named:
        notes = [told_of_speakers({}, [], "training recordings")]
    return Assigned(tuple(parts), not unnamed and not shared, tuple(notes))


def _check_enough(groups: NDArray[np.int64], splits: int, named: bool) -> None:
    count = len(np.unique(groups))
    if count >= splits:
        return
    if named:
        raise UserError(
            f"data: {count} speakers; of {splits} splits that share none each needs one",
            "give recordings of more speakers, a `test` of its own, or `speaker: null`, which "
            "parts what a speaker says",
        )
    raise UserError(
        f"data: {count} recordings; of {splits} splits each needs one",
        "give more recordings, or a `test` of its own",
    )


def _drawn(
    known: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int
) -> NDArray[np.bool_]:
    """known: (recordings,), 1 where there is a transcript."""
    kinds = [len(np.unique(groups[known == kind])) for kind in np.unique(known)]
    strata = known if min(kinds) > 1 else np.zeros_like(known)
    return held_out_groups(strata, groups, share, seed, ABOVE * share)


def _with_two_left(drawn: NDArray[np.bool_], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The choice, but for its smallest group where less than two are left to train and validate
    on."""
    if len(np.unique(groups[~drawn])) > 1:
        return drawn
    theirs, sizes = np.unique(groups[drawn], return_counts=True)
    kept: NDArray[np.bool_] = drawn & (groups != theirs[np.argmin(sizes)])
    return kept


def _unnamed(parts: Sequence[SoundPart]) -> int:
    return sum(
        sum(speaker is None for speaker in part.samples.speakers or (None,) * len(part.codes))
        for part in parts
    )


def _told(unnamed: int, parts: Sequence[SoundPart]) -> Iterator[str]:
    total = sum(len(part.codes) for part in parts)
    if unnamed:
        yield (
            f"{unnamed} of {total} recordings name no speaker: a voice of theirs may be in "
            "training and in test"
        )
