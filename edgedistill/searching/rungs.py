"""Which run comes next: cheap ones first, the promising go on for longer.

Asynchronous successive halving (Li et al. 2020, "A system for massively parallel hyperparameter
tuning") over two aims: a higher quality, and a lower cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgedistill.records import Run

SHARES = (1 / 9, 1 / 3, 1.0)
"""Of the recipe's epochs, from the cheapest runs to those in full."""
KEPT = 3
"""One in so many goes on."""


@dataclass(frozen=True)
class Ended:
    """A run that came to a quality."""

    run: Run
    quality: float
    cost: float


def ended(runs: Sequence[Run]) -> list[Ended]:
    """Those that did not fail."""
    return [
        Ended(run, run.quality, run.cost)
        for run in runs
        if run.quality is not None and run.cost is not None
    ]


def front(runs: Sequence[Run]) -> list[Run]:
    """Those that none is better than at a lower or equal cost, the cheapest first."""
    found: list[Ended] = []
    for each in sorted(ended(runs), key=lambda each: (each.cost, -each.quality, each.run.number)):
        if not found or each.quality > found[-1].quality:
            found.append(each)
    return [each.run for each in found]


def chosen(runs: Sequence[Run]) -> Run | None:
    """That of the highest quality; of several, the cheapest. None: there is none."""
    return next(reversed(front(runs)), None)


def ranked(runs: Sequence[Run], fits: Callable[[Run], bool]) -> list[Run]:
    """The most promising first: front by front, and within each what may be chosen before what
    costs too much, by quality."""
    left, order = [each.run for each in ended(runs)], []
    while left:
        layer = front(left)
        order += sorted(layer, key=lambda run: (not fits(run), -(run.quality or 0.0)))
        numbers = {run.number for run in layer}
        left = [run for run in left if run.number not in numbers]
    return order


def promoted(
    runs: Sequence[Run], fits: Callable[[Run], bool], affords: Callable[[float], bool]
) -> tuple[Run, float] | None:
    """The run whose values go on, and with which share; None: new values are to be tried.

    The recipe's own values go on as soon as any do: they are what others are held against. affords:
    whether so many seconds are left.
    """
    for share, longer in reversed(list(pairwise(SHARES))):
        here = [run for run in runs if run.share == share]
        order = ranked(here, fits)
        best = order[: len(order) // KEPT]
        own = [run for run in order if run.trial == 0 and best]
        gone = {run.trial for run in runs if run.share == longer}
        for run in (*own, *best):
            if run.trial not in gone and affords(run.seconds * longer / share):
                return run, longer
    return None


def compared(runs: Sequence[Run]) -> list[Run]:
    """The runs to choose from: with the largest share that the recipe's own values and others have
    come to, or, where others have not come to any, all that the own values have come to."""
    found = [each.run for each in ended(runs)]
    for share in reversed(SHARES):
        here = [run for run in found if run.share == share]
        if len(here) > 1 and any(run.trial == 0 for run in here):
            return here
    return [run for run in found if run.trial == 0][-1:] or found
