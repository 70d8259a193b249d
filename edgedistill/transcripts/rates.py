"""The error rates of a whole set of transcripts."""

from __future__ import annotations

from collections.abc import Sequence

from edgedistill.records.recognition import ErrorRate
from edgedistill.transcripts.errors import align, rate_interval, total
from edgedistill.transcripts.normalize import Normalize


def error_rate(
    references: Sequence[str | None], texts: Sequence[str], normalize: Normalize, seed: int
) -> ErrorRate | None:
    """Of what has a reference; None where nothing has."""
    known = [at for at, said in enumerate(references) if said is not None]
    if not known:
        return None
    said, heard = [references[at] or "" for at in known], [texts[at] for at in known]
    words = align(said, heard, normalize, "words")
    characters = align(said, heard, normalize, "characters")
    rate, interval = total(words).rate, rate_interval(words, seed)
    if rate is None or interval is None:
        return None
    return ErrorRate(
        words=rate, words_interval=interval, characters=total(characters).rate or 0.0,
        utterances=len(known), reference_words=total(words).length,
    )  # fmt: skip
