"""Which of several files is faster on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgedistill.devices.figures import percentile
from edgedistill.devices.job import Device, Job


def race(device: Device, jobs: Sequence[Job], rounds: int = 5) -> list[tuple[float, ...]]:
    """The median in ms of each round of each job. They take turns within a round, and every other
    round begins at the end, so that what slows the device for a while slows all of them.

    Raises UserError as `Device.run` does.
    """
    found: list[list[float]] = [[] for _ in jobs]
    for turn in range(rounds):
        places = range(len(jobs))
        for place in reversed(places) if turn % 2 else places:
            record = device.run(replace(jobs[place], profile=False))
            found[place].append(round(percentile(record.samples_ms, 50), 5))
    return [tuple(each) for each in found]


def ratio_of(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over the rounds of one job's time by another's."""
    return percentile([one / other for one, other in zip(above, below, strict=True)], 50)
