"""What the counting plugin wrote."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path


def read_counts(path: Path) -> list[dict[str, int]]:
    """Instructions by class of each marked region, in order."""
    names, *lines = (line.split() for line in path.read_text().splitlines())
    return [dict(zip(names, map(int, line), strict=True)) for line in lines]


def of_one(regions: list[dict[str, int]]) -> dict[str, float]:
    """Instructions of one inference by class: the median of all but the first, in which a runtime
    may still prepare. A class that does not occur is left out."""
    rest = regions[1:]
    assert rest, "two inferences at least are marked"
    found = {name: float(statistics.median(each[name] for each in rest)) for name in rest[0]}
    return {name: count for name, count in found.items() if count}


def of_operators(profile: Path, between: Sequence[dict[str, int]]) -> list[float | None]:
    """Instructions of each operator of LiteRT's profile in one inference, in its order; None for
    one that cannot be told. See `benchmarks/device/clock.c`.

    between: regions from each of the runtime's looks at the clock to the next.
    """
    found = json.loads(profile.read_text(errors="replace"), strict=False)
    ran = found["operators"]
    counted: list[list[int]] = [[] for _ in range(len(ran) // int(found["runs"]))]
    last = 0
    for place, each in enumerate(ran):
        looks = _looks(int(each["us"]), last)
        if looks is not None:
            begin, last = looks
            regions = between[begin - 1 : last - 1]
            counted[place % len(counted)].append(sum(region["all"] for region in regions))
    return [
        float(statistics.median(counts[_SETTLING:])) if len(counts) > _SETTLING else None
        for counts in counted
    ]


_SETTLING = 2
"""Inferences that do not count."""
_BESIDE = 16
"""Looks at most from an operator's end to the next one's beginning."""


def _looks(time: int, last: int) -> tuple[int, int] | None:
    """At which looks an operator began and ended, that seems to have taken `time` microseconds and
    began at look `last` or soon after: look k shows k(k+1)/2."""
    for begin in range(max(last, 1), last + _BESIDE):
        end = (math.isqrt(8 * time + (2 * begin + 1) ** 2) - 1) // 2
        if end > begin and end * (end + 1) - begin * (begin + 1) == 2 * time:
            return begin, end
    return None
