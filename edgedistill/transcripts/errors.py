"""Word and character error rates, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgedistill.records.listening import Interval
from edgedistill.transcripts.normalize import Normalize

Unit = Literal["words", "characters"]

DRAWS = 10_000
"""Of a bootstrap: chance then moves an end by about a hundredth of the interval."""
_AT_ONCE = 1 << 20
"""Utterances that a bootstrap draws at once, so that many of them fit in memory."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Of an alignment with the fewest errors (Levenshtein 1966), of one utterance or of many."""

    hits: int
    substitutions: int
    deletions: int
    """Of what the reference has and the hypothesis lacks."""
    insertions: int

    @property
    def errors(self) -> int:
        """Of all three kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def length(self) -> int:
        """Of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float | None:
        """Errors in percent of the reference's length, above 100 where much was inserted; None
        where the reference is empty, whose insertions count in a total all the same."""
        return 100.0 * self.errors / self.length if self.length else None


def align(
    references: Sequence[str], hypotheses: Sequence[str], normalize: Normalize, unit: Unit
) -> tuple[Counts, ...]:
    """The errors of each hypothesis against the reference in its place.

    White space is no character: where a language does without it, or one system sets it otherwise
    than another, the character error rate is the same.

    Raises ValueError: there are not as many of both.
    """
    return tuple(
        _counts(_units(normalize(said), unit), _units(normalize(heard), unit))
        for said, heard in zip(references, hypotheses, strict=True)
    )


def _units(text: str, unit: Unit) -> str:
    """Each apart from the next by a space."""
    return " ".join(text.split() if unit == "words" else "".join(text.split()))


def _counts(said: str, heard: str) -> Counts:
    import jiwer

    found = jiwer.process_words(said, heard)
    return Counts(
        hits=found.hits,
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
    )


def total(counts: Sequence[Counts]) -> Counts:
    """Of all utterances together; its rate is that of the corpus, in which long ones weigh more."""
    return Counts(
        hits=sum(each.hits for each in counts),
        substitutions=sum(each.substitutions for each in counts),
        deletions=sum(each.deletions for each in counts),
        insertions=sum(each.insertions for each in counts),
    )


def rate_interval(counts: Sequence[Counts], seed: int, draws: int = DRAWS) -> Interval | None:
    """In percent, the 95 % interval of the corpus's rate by a bootstrap over utterances (Bisani and
    Ney 2004); None where all references are empty. It knows nothing of speakers: those of few
    speakers are alike, and make it too narrow."""
    return _interval([(each.errors, each.length) for each in counts], seed, draws)


def difference_interval(
    first: Sequence[Counts], second: Sequence[Counts], seed: int, draws: int = DRAWS
) -> Interval | None:
    """In points, the 95 % interval of the first system's rate less the second's on the same
    utterances, both judged by the same draws (Bisani and Ney 2004), so that what is hard
    for both does not widen it; None where all references are empty.

    Raises ValueError: the references are not the same.
    """
    pairs = list(zip(first, second, strict=True))
    if any(one.length != other.length for one, other in pairs):
        raise ValueError("the two systems were not held against the same references")
    return _interval([(one.errors - other.errors, one.length) for one, other in pairs], seed, draws)


def _interval(rows: Sequence[tuple[int, int]], seed: int, draws: int) -> Interval | None:
    """rows: (errors, length) of each utterance."""
    if not any(length for _, length in rows):
        return None
    sums = _drawn(np.array(rows, np.float64), seed, draws)
    sums = sums[sums[:, 1] > 0]  # one without a word has no rate
    low, high = np.quantile(100.0 * sums[:, 0] / sums[:, 1], [0.025, 0.975])
    return float(low), float(high)


def _drawn(rows: NDArray[np.float64], seed: int, draws: int) -> NDArray[np.float64]:
    """Sums (draws, columns) of as many `rows` (utterances, columns) as there are, drawn anew with
    replacement for each."""
    random = np.random.default_rng(seed)
    block = max(1, _AT_ONCE // len(rows))
    sums = []
    for start in range(0, draws, block):
        size = (min(block, draws - start), len(rows))
        sums.append(rows[random.integers(len(rows), size=size)].sum(axis=1))
    return np.concatenate(sums)
