"""What was odd about utterances, counted and said."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from edgedistill.data.sound.decode import SILENT, Fault, Heard
from edgedistill.data.sound.notes import Oddities
from edgedistill.records.speech import LeftOut

EXAMPLES = 20
"""Recordings left out that a record names."""


class SpeechNotes(Oddities):
    """Counts as utterances are read."""

    def __init__(self, rate: int, window: int) -> None:
        """window: in samples."""
        super().__init__(rate)
        self._seconds = window / rate
        self.left_out: Counter[LeftOut] = Counter()
        self.skipped: list[str] = []
        self.parted = 0
        self._pieces = 0

    def add(self, name: str, heard: Heard, text: str | None, pieces: int, longer: bool) -> None:
        """A recording that became so many utterances; longer: than the window, and whole."""
        self.heard(name, heard)
        self._count("silent", name, heard.peak < SILENT)
        self._count("silent and said", name, heard.peak < SILENT and bool(text))
        self._count("parted", name, pieces > 1)
        self._count("longer", name, longer)
        self.parted += pieces > 1
        self._pieces += pieces if pieces > 1 else 0

    def leave_out(self, name: str, why: LeftOut) -> None:
        """A recording that is in no split though it can be decoded."""
        self.left_out[why] += 1
        self._count(why, name, True)

    def skip(self, name: str, fault: Fault, reason: str) -> None:
        """A recording that cannot be decoded."""
        self.left_out[fault] += 1
        if len(self.skipped) < EXAMPLES:
            self.skipped.append(f"{name}: {reason}")

    def sentences(self) -> tuple[str, ...]:
        """In words; none for what did not occur."""
        return (*super().sentences(), *filter(None, (
            self._of_silence(), self._of_parted(), self._of_long(), self._of_copies(),
            self._of_longer(), self._of_skipped(),
        )))  # fmt: skip

    def _of_silence(self) -> str:
        if not self._counts["silent"]:
            return ""
        said = self._counts["silent and said"]
        return f"{self._told('silent')} are silent, {said} of them with a transcript of words"

    def _of_parted(self) -> str:
        if not self.parted:
            return ""
        return (
            f"{self._told('parted')} are longer than `seconds: {self._seconds:g}` and have no "
            f"transcript of words: parted into {self._pieces} at their quietest places"
        )

    def _of_long(self) -> str:
        if not self.left_out["long"]:
            return ""
        return (
            f"{self.left_out['long']} training recordings (first {self._first['long']}) are longer "
            f"than `seconds: {self._seconds:g}` and have a transcript, which cannot be parted: "
            "left out"
        )

    def _of_copies(self) -> str:
        if not self.left_out["copy"]:
            return ""
        return (
            f"{self.left_out['copy']} recordings (first {self._first['copy']}) are in a later "
            "split too, sample by sample: left out of the earlier"
        )

    def _of_longer(self) -> str:
        if not self._counts["longer"]:
            return ""
        return (
            f"{self._told('longer')}, of validation or test, are longer than `seconds: "
            f"{self._seconds:g}`: kept whole"
        )

    def _of_skipped(self) -> str:
        faults = {fault: self.left_out[fault] for fault in get_args(Fault) if self.left_out[fault]}
        if not faults:
            return ""
        counts = ", ".join(f"{count} {fault}" for fault, count in faults.items())
        return f"recordings that cannot be read are left out ({counts}); first {self.skipped[0]}"
