"""What is heard in long audio: as a table, and as a drawing of misses against false accepts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgedistill.records.listening import Case, Curve, Heard, ListenRecord
from edgedistill.report.templates import sound_uri

HEADER = ["keyword", "split", "threshold", "said", "missed", "misses %", "false accepts",
          "an hour", "delay ms"]  # fmt: skip

WIDTH, HEIGHT = 560, 240
_DRAWN = 8
"""Keywords whose curves are drawn."""
_FEWEST, _MOST = 0.1, 100.0
"""False accepts an hour, between which a drawing is on a scale of logarithms."""


def title(told: ListenRecord) -> str:
    """Of the table."""
    return f"Heard in long audio by {told.file}"


def rows(told: ListenRecord) -> Iterator[list[str]]:
    """Of the table: each keyword on validation and test audio, and where there are several, all of
    them together."""
    thresholds: dict[str | None, float] = dict(
        zip(told.rule.keywords, told.rule.thresholds, strict=True)
    )
    for split, heard in (("validation", told.validation), ("test", told.test)):
        parts = heard.keywords if len(heard.keywords) == 1 else (*heard.keywords, heard.all)
        for each in parts:
            limit = thresholds.get(each.keyword)
            yield [
                each.keyword or "all",
                split,
                "-" if limit is None else f"{limit:.3f}",
                str(each.said),
                str(each.missed),
                _with_interval(each.misses, each.misses_interval),
                str(each.false_accepts),
                _with_interval(each.false_accepts_per_hour, each.false_accepts_interval),
                "-" if each.delay_ms is None else f"{each.delay_ms:.0f}",
            ]


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return "-"
    return f"{value:.3g} ({interval[0]:.3g} to {interval[1]:.3g})"


def note(told: ListenRecord) -> str:
    """How it was listened, in a paragraph."""
    step_ms = 1000 * told.hop / told.rate
    averaged = f"averaged over {told.rule.smoothing * step_ms:g} ms"
    taken = averaged if told.rule.smoothing > 1 else "not averaged"
    return (
        f"Recordings without a keyword one behind the other, {_hours(told.validation)} of "
        f"validation and {_hours(told.test)} of test audio, and each keyword spoken once between "
        f"them, over noise. Each step hears {step_ms:g} ms more; probabilities are {taken}, "
        f"and a keyword is not heard again within "
        f"{told.rule.refractory * step_ms:g} ms. Smoothing, this time and the thresholds were "
        f"chosen on validation audio for at most {told.limit:g} false accepts an hour, and then "
        "tried once on test audio. In brackets 95 % intervals; the delay is the median from the "
        "end of a keyword's recording." + _alike(told)
    )


def _hours(heard: Heard) -> str:
    return f"{heard.hours:.2f} h" if heard.hours >= 0.1 else f"{60 * heard.hours:.1f} min"


def _alike(told: ListenRecord) -> str:
    parts = [
        f"{each.file} ({each.runtime}) {each.same} of {each.detections}"
        + (f", and {each.further} more" if each.further else "")
        for each in told.alike
    ]
    if not parts:
        return ""
    return (
        f" On {told.alike_minutes:.3g} minutes of test audio the other files hear what this one "
        f"does: {'; '.join(parts)}."
    )


@dataclass(frozen=True)
class Line:
    """A keyword's curve on one split."""

    keyword: str
    split: str
    color: str
    points: str
    """`x,y x,y`, as SVG has them."""
    chosen: tuple[float, float] | None
    """Where the rule lies on it."""


@dataclass(frozen=True)
class Drawing:
    """Misses against false accepts an hour, `WIDTH` wide and `HEIGHT` high."""

    lines: tuple[Line, ...]
    across: tuple[tuple[float, str], ...]
    """Marks on the axis of false accepts."""
    up: tuple[tuple[float, str], ...]
    """And on that of misses."""
    left_out: int
    """Keywords that are not drawn."""


def drawing(told: ListenRecord) -> Drawing:
    """The curves of the first keywords: test audio, and dashed validation audio."""
    lines = []
    for split, curves in (("test", told.test_curves), ("validation", told.validation_curves)):
        for number, curve in enumerate(curves[:_DRAWN]):
            threshold = told.rule.thresholds[number] if split == "test" else None
            lines.append(_line(curve, split, number, threshold))
    marks = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
    return Drawing(
        lines=tuple(lines),
        across=(
            (_across(0.0), "0"),
            *((_across(each), f"{each:g}{'+' * (each == _MOST)}") for each in marks),
        ),
        up=tuple((_up(each), f"{each} %") for each in (0, 25, 50, 75, 100)),
        left_out=max(0, len(told.rule.keywords) - _DRAWN),
    )


def _line(curve: Curve, split: str, number: int, threshold: float | None) -> Line:
    said = max(1, curve.said)
    places = [
        (_across(each.false_accepts / curve.hours), _up(100 * each.missed / said))
        for each in curve.points
    ]
    chosen = next(
        (place for place, each in zip(places, curve.points, strict=True)
         if each.threshold == threshold), None,
    )  # fmt: skip
    points = " ".join(dict.fromkeys(f"{x:.1f},{y:.1f}" for x, y in places))
    return Line(curve.keyword, split, f"hsl({160 + 47 * number % 360} 65% 45%)", points, chosen)


def _across(an_hour: float) -> float:
    """None at all lies at the left edge; then logarithms."""
    if an_hour <= 0:
        return 0.0
    share = math.log(an_hour / _FEWEST) / math.log(_MOST / _FEWEST)
    return WIDTH * (0.08 + 0.92 * min(1.0, max(0.0, share)))


def _up(misses: float) -> float:
    return HEIGHT * (1 - misses / 100)


@dataclass(frozen=True)
class Playable:
    """A case with its sound as a data URI; empty where there is none."""

    case: Case
    uri: str


def playable(cases: Sequence[Case], sounds: Mapping[str, bytes]) -> list[Playable]:
    """sounds: WAV files by their names."""
    return [
        Playable(each, sound_uri(sounds[each.sound], "wav") if each.sound in sounds else "")
        for each in cases
    ]
