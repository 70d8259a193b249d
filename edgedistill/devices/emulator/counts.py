"""What the counting plugin wrote."""

from __future__ import annotations

import statistics
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
