"""search.html: the front of a search as a picture, and every run in a table."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistill.records import Run, StudyRecord
from edgedistill.report.templates import environment_of_pages

WIDTH, HEIGHT = 640, 320


@dataclass(frozen=True)
class Dot:
    """A run in the picture."""

    x: float
    y: float
    radius: float
    """The longer it was trained, the larger."""
    kind: str
    """`best`, `guess`, `front` or `other`."""
    told: str


@dataclass(frozen=True)
class Picture:
    """Quality over cost, `WIDTH` wide and `HEIGHT` high."""

    dots: tuple[Dot, ...]
    line: str
    """The front as SVG's points `x,y x,y`, in steps."""
    across: tuple[tuple[float, str], ...]
    """Marks on the axis of costs."""
    up: tuple[tuple[float, str], ...]
    """And on that of quality."""


def picture(record: StudyRecord) -> Picture | None:
    """None where no run has ended well."""
    runs = [run for run in record.runs if run.quality is not None and run.cost is not None]
    if not runs:
        return None
    left, right, across = _axis([run.cost or 0.0 for run in runs], WIDTH)
    low, high, up = _axis([run.quality or 0.0 for run in runs], HEIGHT)

    def place(run: Run) -> tuple[float, float]:
        x = WIDTH * ((run.cost or 0.0) - left) / (right - left)
        return x, HEIGHT * (high - (run.quality or 0.0)) / (high - low)

    # What stands out is drawn last.
    order = sorted(runs, key=lambda run: _KINDS.index(_kind(run, record)))
    dots = tuple(
        Dot(*place(run), 3 + 3 * math.sqrt(run.share), _kind(run, record), _told(run, record))
        for run in order
    )
    points: list[tuple[float, float]] = []
    for number in record.front:
        x, y = place(next(run for run in runs if run.number == number))
        points += [(x, points[-1][1]), (x, y)] if points else [(x, y)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = tuple((HEIGHT - at, text) for at, text in up)
    return Picture(dots, line, across, marks)


_KINDS = ("other", "front", "guess", "best")


def _kind(run: Run, record: StudyRecord) -> str:
    if run.number == record.best:
        return "best"
    if run.number == record.guess:
        return "guess"
    return "front" if run.number in record.front else "other"


def _told(run: Run, record: StudyRecord) -> str:
    values = ", ".join(f"{key} {shown(value)}" for key, value in run.values.items())
    return (
        f"trial {run.trial}, {run.share:.0%} of the epochs: {run.quality:.2f} %, "
        f"{run.cost:.4g} {record.unit}; {values}"
    )


def _axis(values: list[float], length: int) -> tuple[float, float, tuple[tuple[float, str], ...]]:
    """Where an axis begins and ends, and its marks at round numbers."""
    low, high = min(values), max(values)
    span = high - low or abs(high) or 1.0
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    first, last = math.floor(low / step - 0.2), math.ceil(high / step + 0.2)
    marks = tuple(
        (length * (at - first) / (last - first), f"{at * step:.6g}")
        for at in range(first, last + 1)
    )
    return first * step, last * step, marks


def shown(value: Any) -> str:
    """A value of a recipe, short."""
    return f"{value:.3g}" if isinstance(value, float) else json.dumps(value)


def headline(record: StudyRecord) -> str:
    """What was found, in a sentence."""
    by = {run.number: run for run in record.runs}
    if record.best is None or record.guess is None:
        return "Nothing was found yet."
    best, guess = by[record.best], by[record.guess]
    if best.trial == 0:
        return "Nothing that may be chosen is better on validation than the recipe's own values."
    gain = (best.quality or 0.0) - (guess.quality or 0.0)
    how = f"{abs(gain):.2f} points {'above' if gain > 0 else 'below'}" if gain else "as good as"
    return (
        f"Trial {best.trial} is {how} the recipe's own values on validation, "
        f"after {best.share:.0%} of the epochs: {best.quality:.2f} against {guess.quality:.2f} %, "
        f"at {best.cost:.4g} against {guess.cost:.4g} {record.unit}."
    )


def write_study_page(record: StudyRecord, path: Path) -> None:
    """Write a search as a self-contained page; what comes from a record is escaped."""
    environment = environment_of_pages()
    environment.filters.update(shown=shown)
    by_name = sorted(record.runs, key=lambda run: -(run.quality or -math.inf))
    text = environment.get_template("study.html.j2").render(
        report=record,
        picture=picture(record),
        headline=headline(record),
        runs=by_name,
        wide=WIDTH,
        high=HEIGHT,
        recipe=json.dumps(record.recipe, indent=2),
    )
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
