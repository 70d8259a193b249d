"""What was odd about recordings, counted and said."""

from __future__ import annotations

from collections import Counter

from edgedistill.data.sound.decode import SILENT, Heard
from edgedistill.recipe import Sound


class Oddities:
    """What is odd about recordings of any kind, counted as they are read."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._total = 0
        self._rates: Counter[int] = Counter()
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def heard(self, name: str, heard: Heard) -> None:
        """A recording, as it was decoded."""
        self._total += 1
        if heard.rate != self._rate:
            self._rates[heard.rate] += 1
        self._count("mixed", name, heard.channels > 1)
        self._count("clipped", name, heard.clipped > 0)

    def _count(self, what: str, name: str, holds: bool) -> None:
        if holds:
            self._counts[what] += 1
            self._first.setdefault(what, name)

    def sentences(self) -> tuple[str, ...]:
        """In words; none for what did not occur."""
        found = []
        if self._rates:
            rates = ", ".join(f"{count} of {rate} Hz" for rate, count in self._rates.most_common(5))
            found.append(
                f"resampled to {self._rate} Hz: {rates}, of {self._total} recordings"
                + self._hollow()
            )
        if self._counts["mixed"]:
            found.append(f"{self._told('mixed')} have several channels, mixed into one")
        if self._counts["clipped"]:
            found.append(
                f"{self._told('clipped')} are clipped: too loud for their format, they stay at "
                "its limit for several samples in a row"
            )
        return tuple(found)

    def _told(self, what: str, total: int | None = None, word: str = "recordings") -> str:
        of = f"{self._counts[what]} of {self._total if total is None else total}"
        return f"{of} {word} (first {self._first[what]})"

    def _hollow(self) -> str:
        lower = [rate for rate in self._rates if rate < self._rate]
        if not lower:
            return ""
        return f"; those of {min(lower)} Hz hold nothing above {min(lower) // 2} Hz"


class Notes(Oddities):
    """The same, and what is odd about clips of classes."""

    def __init__(self, rate: int) -> None:
        super().__init__(rate)
        self._clips = 0
        self._longest = 0.0

    def add(self, name: str, heard: Heard, length: int, sound: Sound, clip: bool) -> None:
        """A recording of `length` samples at the wanted rate; clip: whether it is one of a class's
        own, of which one window is kept."""
        self.heard(name, heard)
        self._clips += clip
        self._count("silent", name, clip and heard.peak < SILENT)
        self._count("longer", name, clip and length > sound.length)
        self._count("shorter", name, clip and length < sound.length)
        if clip:
            self._longest = max(self._longest, length / self._rate)
        self._seconds, self._cut = sound.seconds, sound.cut

    def sentences(self) -> tuple[str, ...]:
        """In words; none for what did not occur."""
        found = []
        if self._counts["silent"]:
            found.append(
                f"{self._of_clips('silent')} are silent, and labelled as if something could be "
                "heard in them"
            )
        if self._counts["longer"]:
            kept = {"end": "their end", "middle": "their middle", "spoken": "where most is spoken"}
            found.append(
                f"{self._of_clips('longer')} are longer than `sound.seconds: {self._seconds:g}` "
                f"(up to {self._longest:.1f} s): {kept[self._cut]} is kept"
            )
        if self._counts["shorter"]:
            found.append(f"{self._of_clips('shorter')} are shorter, padded with silence")
        return (*super().sentences(), *found)

    def _of_clips(self, what: str) -> str:
        return self._told(what, self._clips, "clips")
