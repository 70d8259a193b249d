"""Long audio heard through a step program: its probabilities, what was due, and what went wrong."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgedistill.listening.decision import Decider, Fired, Smoothing
from edgedistill.listening.ear import Ear, Hops
from edgedistill.listening.figures import Audio, Counted, Said, counted
from edgedistill.listening.mixing import LongAudio
from edgedistill.records.listening import Rule

Floats = NDArray[np.floating[Any]]
Tick = Callable[[float], None]
"""Told how many minutes were heard."""

_CASES = 4
"""Of each kind."""
_LONGEST_SECONDS = 3.0
_AROUND_SECONDS = 0.5


def due(long: LongAudio, hops: Hops, rate: int, tolerance: float) -> Audio:
    """When which keyword is to be heard in long audio; tolerance: seconds after a recording's end
    in which it still may be."""
    late = round(tolerance * rate)
    said = tuple(
        Said(
            keyword=hops.keywords.index(each.label),
            start=each.start // hops.hop,
            end=(each.end + late) // hops.hop,
            spoken=each.end // hops.hop,
        )
        for each in long.spoken
        if each.label in hops.keywords
    )
    taken = sum(each.end + late - each.start for each in long.spoken)
    hours = (long.samples - taken) / rate / 3600
    return Audio(said, max(hours, 1 / rate / 3600), 1000 * hops.hop / rate)


def heard(long: LongAudio, ear: Ear, rate: int, tick: Tick, samples: int | None = None) -> Floats:
    """Probabilities (steps, keywords) over long audio, or its first `samples`."""
    left = long.samples if samples is None else min(samples, long.samples)
    whole, parts = left, []
    for piece in long:
        piece = piece[:left]
        parts.append(ear.feed(piece))
        left -= len(piece)
        tick((whole - left) / rate / 60)
        if not left:
            break
    return np.concatenate(parts)


def decide(probabilities: Floats, rule: Rule, audio: Audio) -> tuple[list[Fired], list[Counted]]:
    """What the rule hears, and what of it is right."""
    found = Decider(rule).feed(probabilities)
    return found, counted(found, audio, len(rule.keywords))


def alike(ours: Sequence[Fired], others: Sequence[Fired], steps: int) -> int:
    """How many of `ours` are among `others` too: the same keyword, at most so many steps apart."""
    left = list(others)
    same = 0
    for each in ours:
        twin = next((other for other in left if other.keyword == each.keyword
                     and abs(other.step - each.step) <= steps), None)  # fmt: skip
        if twin is not None:
            left.remove(twin)
            same += 1
    return same


@dataclass(frozen=True)
class Wrong:
    """A keyword that was missed, or a false accept, with its sound."""

    kind: Literal["missed", "false accept"]
    keyword: int
    confidence: float
    step: int
    samples: NDArray[np.float32]


def worst(
    found: Sequence[Counted],
    probabilities: Floats,
    rule: Rule,
    long: LongAudio,
    hops: Hops,
    rate: int,
) -> Iterator[Wrong]:
    """Of the missed keywords those that came least near, of the false accepts the surest."""
    smooth = Smoothing(rule.smoothing, len(rule.keywords))(probabilities)
    missed = [
        (float(smooth[each.start : each.end + 1, keyword].max(initial=0.0)), keyword, each)
        for keyword, counts in enumerate(found)
        for each in counts.missed
    ]
    around, longest = round(_AROUND_SECONDS * rate), round(_LONGEST_SECONDS * rate)
    for peak, keyword, each in sorted(missed, key=lambda row: row[0])[:_CASES]:
        start, end = each.start * hops.hop - around, each.spoken * hops.hop + around
        sound = long.cut(max(start, end - longest), end)
        yield Wrong("missed", keyword, peak, each.spoken, sound)
    false = [
        (float(smooth[step, keyword]), keyword, int(step))
        for keyword, counts in enumerate(found)
        for step in counts.false
    ]
    for sure, keyword, step in sorted(false, key=lambda row: -row[0])[:_CASES]:
        end = (step + 1) * hops.hop + around
        start = end - min(longest, hops.lead_in + 2 * around)
        yield Wrong("false accept", keyword, sure, step, long.cut(start, end))


def wav(samples: NDArray[np.float32], rate: int) -> bytes:
    """Samples (any number,) in -1..1 as a WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.rint(samples * np.float32(32767)).astype("<i2").tobytes())
    return file.getvalue()
