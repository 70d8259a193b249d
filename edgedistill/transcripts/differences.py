"""Where a transcript differs from its reference, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgedistill.records.speech_audit import Piece
from edgedistill.transcripts.normalize import Normalize


@dataclass(frozen=True)
class Difference:
    """A word of an alignment with the fewest errors."""

    at: int
    """Which word of the reference; of one that was added, before which."""
    piece: Piece

    @property
    def is_error(self) -> bool:
        """Whether it is not as it was said."""
        return self.piece.kind != "right"

    @property
    def place(self) -> tuple[int, bool]:
        """Where it is: at a word, or between two."""
        return self.at, self.piece.kind == "added"


def differences(said: str, heard: str, normalize: Normalize) -> tuple[Difference, ...]:
    """The words of a transcript `heard` against the reference `said`, and those it lacks."""
    import jiwer

    reference, words = normalize(said).split(), normalize(heard).split()
    (chunks,) = jiwer.process_words(" ".join(reference), " ".join(words)).alignments
    found: list[Difference] = []
    for each in chunks:
        theirs = reference[each.ref_start_idx : each.ref_end_idx]
        ours = words[each.hyp_start_idx : each.hyp_end_idx]
        start = each.ref_start_idx
        if each.type == "insert":
            found += [Difference(start, Piece(word, "added")) for word in ours]
        elif each.type == "delete":
            found += _numbered(start, theirs, "left out")
        else:
            found += _numbered(start, ours, "right" if each.type == "equal" else "wrong")
    return tuple(found)


def _numbered(start: int, words: Sequence[str], kind: str) -> list[Difference]:
    return [
        Difference(start + place, Piece(word, kind))  # type: ignore[arg-type]
        for place, word in enumerate(words)
    ]
