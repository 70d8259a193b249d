"""What every benchmark shares: the result file, and where it was made."""

from __future__ import annotations

import datetime
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.artifact import write_json
from edgedistill.devices.machine import machine

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("EDGEDISTILL_DATA", Path(__file__).parents[2] / "shared"))
"""Folder with `data/cifar10`, `teachers` and `peers`; `EDGEDISTILL_DATA` points elsewhere."""


def write(name: str, rows: list[dict[str, Any]], *, seeds: list[int], **notes: Any) -> None:
    """Write `results/NAME.json` whole."""
    here = machine()
    RESULTS.mkdir(exist_ok=True)
    write_json(
        RESULTS / f"{name}.json",
        {
            "name": name,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": commit(),
            "machine": here,
            "versions": here["versions"],
            "seeds": seeds,
            **notes,
            "rows": rows,
        },
    )


def commit() -> str:
    """The commit's short name, and whether anything but results was changed since."""
    changed = _git("status", "--porcelain", "-uno", "--", ":/", f":(exclude){RESULTS.name}")
    return _git("describe", "--always") + ("-dirty" if changed else "")


def _git(*words: str) -> str:
    here = Path(__file__).parent
    return subprocess.run(["git", *words], capture_output=True, text=True, cwd=here).stdout.strip()


def mean_and_std(values: list[float]) -> tuple[float, float]:
    """Mean and sample deviation."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def ahead(ours: list[Any], theirs: list[Any]) -> dict[str, float]:
    """Points that ours is ahead by, over seeds, with a 95 % interval by the paired bootstrap over
    images: a draw takes an image with what all seeds' students said of it."""
    each = np.sum([a.astype(int) - b.astype(int) for a, b in zip(ours, theirs, strict=True)], 0)
    values, counts = np.unique(each, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(each), counts / len(each), 10_000)
    points = 100.0 / (len(each) * len(ours))
    low, high = np.quantile(drawn @ values, (0.025, 0.975)) * points
    return {
        "ours_ahead": float(each.sum() * points), "ahead_low": float(low), "ahead_high": float(high)
    }  # fmt: skip


class Quiet:
    """A reporter that prints what a stage says, and its progress now and then."""

    def __init__(self) -> None:
        self._tenth: tuple[str, int] = ("", -1)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        tenth = (label, int(10 * done / total))
        if tenth != self._tenth:
            self._tenth = tenth
            print(f"{label}: {done / total:.0%} {note}", flush=True)
