"""For whom a student's transcripts are worse than its teacher's, and which errors both make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgedistill.records.speech_audit import CopiedErrors, GroupRate, WorstCase
from edgedistill.transcripts.differences import Difference, differences
from edgedistill.transcripts.errors import Counts, align, total
from edgedistill.transcripts.normalize import Normalize

SPEAKERS, CASES = 50, 10
"""Told of at most."""
_LENGTHS = (5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """An utterance with a transcript, and what both made of it."""

    name: str
    speaker: str | None
    seconds: float
    reference: str
    teacher: str
    shipped: str


@dataclass(frozen=True)
class _Aligned:
    """An utterance with the errors of both."""

    heard: Heard
    teacher: Counts
    shipped: Counts


class SpeechAudit:
    """Figures of a test set's utterances."""

    def __init__(self, heard: Sequence[Heard], normalize: Normalize) -> None:
        self._normalize = normalize
        references = [each.reference for each in heard]
        theirs = align(references, [each.teacher for each in heard], normalize, "words")
        ours = align(references, [each.shipped for each in heard], normalize, "words")
        self._all = [_Aligned(*each) for each in zip(heard, theirs, ours, strict=True)]

    def by_length(self, window: float) -> tuple[GroupRate, ...]:
        """By length of the utterance, up to `window` seconds and beyond; groups without any are
        left out."""
        ends = [*(each for each in _LENGTHS if each < window), window]
        names = [f"under {ends[0]:g} s", *(f"{a:g} to {b:g} s" for a, b in pairwise(ends))]
        names.append(f"longer than {window:g} s")

        def place(one: _Aligned) -> str:
            # What is just as long as the window is heard at once.
            over = sum(one.heard.seconds >= end for end in ends[:-1])
            return names[over + (one.heard.seconds > window)]

        found = self._grouped(place)
        return tuple(found[name] for name in names if name in found)

    def by_speaker(self) -> tuple[GroupRate, ...]:
        """Those who are known, the highest rate of what ships first."""
        found = self._grouped(lambda one: one.heard.speaker)
        return tuple(sorted(found.values(), key=lambda each: -(each.shipped or 0.0)))

    def _grouped(self, key: Callable[[_Aligned], str | None]) -> dict[str, GroupRate]:
        groups: dict[str, list[_Aligned]] = {}
        for one in self._all:
            name = key(one)
            if name is not None:
                groups.setdefault(name, []).append(one)
        return {name: _rate(name, group) for name, group in groups.items()}

    def copied(self) -> CopiedErrors:
        """Which of the student's errors the teacher makes too."""
        errors = at_the_same = same = 0
        chance = 0.0
        for one in self._all:
            theirs, ours = (
                [each for each in self._compared(one.heard, text) if each.is_error]
                for text in (one.heard.teacher, one.heard.shipped)
            )
            places, exact = {each.place for each in theirs}, set(theirs)
            errors += len(ours)
            at_the_same += sum(each.place in places for each in ours)
            same += sum(each in exact for each in ours)
            chance += sum(_likely(each, places, one.teacher.length) for each in ours)
        right = [one for one in self._all if not one.teacher.errors]
        wrong = [one for one in self._all if one.teacher.errors]
        return CopiedErrors(
            errors=errors,
            at_the_same=100 * at_the_same / errors if errors else None,
            by_chance=100 * chance / errors if errors else None,
            same=100 * same / errors if errors else None,
            teacher_right=_rate("teacher right", right),
            teacher_wrong=_rate("teacher wrong", wrong),
        )

    def _compared(self, heard: Heard, text: str) -> tuple[Difference, ...]:
        return differences(heard.reference, text, self._normalize)

    def worst(self) -> Iterator[tuple[int, WorstCase]]:
        """The utterances with the most errors of what ships, and their places; without sounds."""
        order = sorted(
            range(len(self._all)),
            key=lambda at: (-self._all[at].shipped.errors, self._all[at].heard.seconds),
        )
        for at in order[:CASES]:
            one = self._all[at]
            if one.shipped.errors:
                heard = one.heard
                yield at, WorstCase(
                    name=heard.name, speaker=heard.speaker, seconds=heard.seconds,
                    errors=one.shipped.errors, teacher_errors=one.teacher.errors,
                    reference=self._normalize(heard.reference),
                    teacher=tuple(each.piece for each in self._compared(heard, heard.teacher)),
                    shipped=tuple(each.piece for each in self._compared(heard, heard.shipped)),
                    sound="",
                )  # fmt: skip


def _rate(name: str, group: Sequence[_Aligned]) -> GroupRate:
    theirs, ours = total([one.teacher for one in group]), total([one.shipped for one in group])
    return GroupRate(
        name=name, utterances=len(group), reference_words=ours.length,
        seconds=sum(one.heard.seconds for one in group), teacher=theirs.rate, shipped=ours.rate,
    )  # fmt: skip


def _likely(error: Difference, places: set[tuple[int, bool]], words: int) -> float:
    """How likely the teacher makes an error at the same place, if its own lay anywhere in an
    utterance of so many words."""
    _, between = error.place
    there = sum(each == between for _, each in places)
    return there / (words + 1 if between else words)
