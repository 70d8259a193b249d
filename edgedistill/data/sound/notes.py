"""What was odd about recordings, counted and said."""

from __future__ import annotations

from collections import Counter

from edgedistill.data.sound.decode import SILENT, Heard
from edgedistill.recipe import Sound


class Notes:
    """Counts as recordings are read."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._total = self._clips = 0
        self._rates: Counter[int] = Counter()
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._longest = 0.0

    def add(self, name: str, heard: Heard, length: int, sound: Sound, clip: bool) -> None:
        """A recording of `length` samples at the wanted rate; clip: whether it is one of a class's
        own, of which one window is kept."""
        self._total += 1
        self._clips += clip
        if heard.rate != self._rate:
            self._rates[heard.rate] += 1
        self._count("mixed", name, heard.channels > 1)
        self._count("clipped", name, heard.clipped > 0)
        self._count("silent", name, clip and heard.peak < SILENT)
        self._count("longer", name, clip and length > sound.length)
        self._count("shorter", name, clip and length < sound.length)
        if clip:
            self._longest = max(self._longest, length / self._rate)
        self._seconds, self._cut = sound.seconds, sound.cut

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
        if self._counts["silent"]:
            found.append(
                f"{self._told('silent', self._clips)} are silent, and labelled as if something "
                "could be heard in them"
            )
        if self._counts["longer"]:
            kept = {"end": "their end", "middle": "their middle", "spoken": "where most is spoken"}
            found.append(
                f"{self._told('longer', self._clips)} are longer than `sound.seconds: "
                f"{self._seconds:g}` (up to {self._longest:.1f} s): {kept[self._cut]} is kept"
            )
        if self._counts["shorter"]:
            found.append(f"{self._told('shorter', self._clips)} are shorter, padded with silence")
        return tuple(found)

    def _told(self, what: str, total: int | None = None) -> str:
        of = f"{self._counts[what]} of {total or self._total}"
        return f"{of} {'clips' if total else 'recordings'} (first {self._first[what]})"

    def _hollow(self) -> str:
        lower = [rate for rate in self._rates if rate < self._rate]
        if not lower:
            return ""
        return f"; those of {min(lower)} Hz hold nothing above {min(lower) // 2} Hz"
