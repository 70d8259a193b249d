"""Long audio to listen to: a split's recordings without a keyword one behind the other, and each of
its keywords spoken once between them, over noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform

Floats = NDArray[np.float32]
Recording = NDArray[np.int16]
"""(samples,), one channel; may be mapped from disk."""

_BLOCK_SECONDS = 10
_FADE_SECONDS = 0.01
_PAUSE_SECONDS = 0.5, 1.0
"""Before a keyword."""
_SPEECH_BELOW_DB = 30.0
"""Parts of a recording that much quieter than its loudest are pauses."""
_FRAME_SECONDS = 0.02
# Slots of the random numbers.
_ORDER, _TIME, _SNR, _BED, _BED_START, _PAUSE = range(300, 306)


@dataclass(frozen=True)
class Recordings:
    """A split's own, at one rate."""

    rate: int
    keywords: Sequence[tuple[Recording, int]]
    """Each with its class."""
    others: Sequence[Recording]
    """Without a keyword: speech, noise, anything else."""
    noise: Sequence[Recording] = ()
    """What keywords are spoken over; where there is none, over `others`."""


@dataclass(frozen=True)
class Mixing:
    """How they are put together."""

    seed: int
    snr_db: tuple[float, float]
    """Least and most decibels of a keyword above what it is spoken over."""
    pause: float
    """Seconds after a keyword in which nothing else is said."""
    minutes: float | None = None
    """Of `others`, at most."""


@dataclass(frozen=True)
class Spoken:
    """A keyword in long audio, in samples."""

    label: int
    """Its class."""
    start: int
    end: int
    clip: int
    """Its place among the recordings."""


@dataclass(frozen=True)
class _Part:
    """A stretch of long audio: of one of `others`, or where `clip` is given a keyword."""

    begin: int
    """Its place in the long audio."""
    length: int
    source: int = 0
    start: int = 0
    """Its place in the recording."""
    clip: int | None = None
    pause: int = 0
    """Samples before the keyword."""


class LongAudio:
    """Drawn from the seed; read and mixed as it is iterated over, float32 in -1..1."""

    def __init__(self, recordings: Recordings, mixing: Mixing) -> None:
        self._recordings, self._mixing = recordings, mixing
        self._parts = list(self._planned())
        self.samples = sum(part.length for part in self._parts)
        self.spoken = tuple(
            Spoken(recordings.keywords[part.clip][1], begin, begin + self._clip(part), part.clip)
            for part in self._parts
            if part.clip is not None
            for begin in [part.begin + part.pause]
        )

    def __iter__(self) -> Iterator[Floats]:
        """Pieces (samples,) of ten seconds at most, or a keyword with what is around it."""
        for part in self._parts:
            yield from self._other(part) if part.clip is None else [self._keyword(part)]

    def cut(self, start: int, end: int) -> Floats:
        """The samples from `start` to `end`."""
        start, end = max(0, start), min(end, self.samples)
        found = []
        for part in self._parts:
            first, last = max(0, start - part.begin), min(end - part.begin, part.length)
            if first >= last:
                continue
            if part.clip is not None:
                found.append(self._keyword(part)[first:last])
                continue
            at = first // self._block * self._block
            whole = np.concatenate(list(self._other(part, at, last)))
            found.append(whole[first - at : last - at])
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _planned(self) -> Iterator[_Part]:
        """Others in a drawn order, interrupted by each keyword at a drawn time."""
        others, keywords = self._stretches(), self._recordings.keywords
        total = sum(end - start for _, start, end in others)
        numbers = np.arange(len(keywords))
        times = np.floor(self._draw(numbers, _TIME) * (total + 1)).astype(np.int64)
        waiting = [(int(times[clip]), int(clip)) for clip in np.argsort(times, kind="stable")]
        begin = played = 0
        for source, start, end in others:
            while waiting and waiting[0][0] < played + end - start:
                time, clip = waiting.pop(0)
                length = time - played
                if length:
                    yield _Part(begin, length, source, start)
                    begin, played, start = begin + length, time, start + length
                yield (part := self._inserted(begin, clip))
                begin += part.length
            yield _Part(begin, end - start, source, start)
            begin, played = begin + end - start, played + end - start
        for _, clip in waiting:
            yield (part := self._inserted(begin, clip))
            begin += part.length

    def _stretches(self) -> list[tuple[int, int, int]]:
        """(recording, start, end) of each of the others that is played, in a drawn order."""
        others, minutes = self._recordings.others, self._mixing.minutes
        order = np.argsort(self._draw(np.arange(len(others)), _ORDER), kind="stable")
        left = sum(map(len, others))
        if minutes is not None:
            left = min(left, round(60 * minutes * self._recordings.rate))
        found = []
        for source in order:
            length = min(left, len(others[source]))
            if length:
                found.append((int(source), 0, length))
            left -= length
        return found

    def _inserted(self, begin: int, clip: int) -> _Part:
        rate = self._recordings.rate
        low, high = _PAUSE_SECONDS
        pause = round(rate * (low + (high - low) * self._drawn(clip, _PAUSE)))
        after = round(rate * self._mixing.pause)
        length = pause + len(self._recordings.keywords[clip][0]) + after
        return _Part(begin, length, clip=clip, pause=pause)

    def _clip(self, part: _Part) -> int:
        assert part.clip is not None
        return len(self._recordings.keywords[part.clip][0])

    @property
    def _block(self) -> int:
        return _BLOCK_SECONDS * self._recordings.rate

    def _other(self, part: _Part, first: int = 0, last: int | None = None) -> Iterator[Floats]:
        """Block by block, from the one that begins at `first` to the one that holds `last`."""
        recording = self._recordings.others[part.source]
        for at in range(first, part.length if last is None else last, self._block):
            end = min(part.length, at + self._block)
            samples = _real(recording[part.start + at : part.start + end])
            yield self._faded(samples, at == 0, end == part.length)

    def _keyword(self, part: _Part) -> Floats:
        """A keyword over a stretch of noise, at a drawn ratio."""
        assert part.clip is not None
        clip, rate = _real(self._recordings.keywords[part.clip][0]), self._recordings.rate
        low, high = self._mixing.snr_db
        ratio = low + (high - low) * self._drawn(part.clip, _SNR)
        bed = self._bed(part.clip, part.length)
        below, speech = speech_level(bed, rate), speech_level(clip, rate)
        if below:
            bed = bed * np.float32(speech / below * 10 ** (-ratio / 20))
        mixed = self._faded(bed, True, True)
        mixed[part.pause : part.pause + len(clip)] += clip
        return np.clip(mixed, -1.0, 1.0)

    def _bed(self, clip: int, length: int) -> Floats:
        """A stretch of noise from a drawn place, repeated where it is too short; where there is
        nothing to take it from, silence."""
        sources = self._recordings.noise or self._recordings.others
        sources = [each for each in sources if len(each)]
        if not sources:
            return np.zeros(length, np.float32)
        source = sources[int(self._drawn(clip, _BED) * len(sources))]
        start = int(self._drawn(clip, _BED_START) * max(1, len(source) - length + 1))
        stretch = _real(source[start : start + length])
        return np.resize(stretch, length)

    def _faded(self, samples: Floats, begins: bool, ends: bool) -> Floats:
        """Without a click where a stretch begins or ends."""
        steps = min(len(samples), max(1, round(_FADE_SECONDS * self._recordings.rate)))
        rise = np.linspace(0.0, 1.0, steps, dtype=np.float32)
        samples = samples.copy()
        if begins:
            samples[:steps] *= rise
        if ends:
            samples[len(samples) - steps :] *= rise[::-1]
        return samples

    def _draw(self, numbers: NDArray[np.int64], slot: int) -> NDArray[np.float64]:
        return uniform(self._mixing.seed, numbers, slot=slot)

    def _drawn(self, number: int, slot: int) -> float:
        return float(self._draw(np.array([number]), slot)[0])


def _real(samples: NDArray[Any]) -> Floats:
    real: Floats = np.multiply(samples, np.float32(1 / 32768), dtype=np.float32)
    return real


def speech_level(samples: Floats, rate: int) -> float:
    """The root mean square of (samples,) where it isn't a pause: of its frames of 20 ms those that
    are within 30 dB of the loudest."""
    frame = max(1, min(len(samples), round(_FRAME_SECONDS * rate)))
    count = len(samples) // frame
    power = np.square(samples[: count * frame].reshape(count, frame)).mean(axis=1)
    loud = power[power >= power.max(initial=0.0) * 10 ** (-_SPEECH_BELOW_DB / 10)]
    return float(np.sqrt(loud.mean())) if len(loud) else 0.0
