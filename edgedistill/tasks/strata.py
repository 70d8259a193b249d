"""Which samples are held out, so that both sides have their share of every label.

Each takes ranks (samples,), random numbers in [0, 1) that the caller draws, so that the same seed
makes the same choice on any machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[Any]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ranks = NDArray[np.float64]


def classes(labels: Labels) -> list[Ids]:
    """The samples of each class. labels: (samples,), int64."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    return [part for part in np.split(order, starts) if len(part)]


def held_out(groups: list[Ids], share: float, ranks: Ranks) -> Mask:
    """(samples,): of each group `share` of its samples, at least one, and never all of them unless
    there is only one, which stays."""
    chosen = np.zeros(len(ranks), np.bool_)
    for members in groups:
        chosen[members[np.argsort(ranks[members])[: _share(len(members), share)]]] = True
    return chosen


def balanced(groups: list[Ids], limit: int, ranks: Ranks) -> Mask:
    """(samples,): at most `limit` samples, as many of each group as there are to be had."""
    chosen = np.zeros(len(ranks), np.bool_)
    left, ordered = limit, sorted(groups, key=len)
    for done, members in enumerate(ordered):
        count = min(len(members), left // (len(ordered) - done))
        chosen[members[np.argsort(ranks[members])[:count]]] = True
        left -= count
    return chosen


def iterative(labels: Labels, count: int, ranks: Ranks) -> Mask:
    """(samples,): a choice of `count` samples that has of every label about the share that it has
    of all samples: iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the
    Stratification of Multi-Label Data", algorithm 1), of two subsets.

    The label with the fewest samples left is dealt out first, each of its samples to the side that
    lacks it most; a label of two samples or more comes to both sides, if there is room. Unlike in
    the paper a side that is full takes no more, so that the sizes are exact.

    labels: (samples, values), above one half where a sample has the label.
    """
    has = np.asarray(labels > 0.5)
    total = has.sum(axis=0)
    wanted = np.array([_share(each, count / max(1, len(has))) for each in total.tolist()])
    lacking = np.stack([total - wanted, wanted]).astype(np.float64)
    room = [len(has) - count, count]
    order = np.argsort(ranks, kind="stable")
    free = np.ones(len(has), np.bool_)
    chosen = np.zeros(len(has), np.bool_)

    def deal(sample: int, label: int | None) -> None:
        lacks = room if label is None else lacking[:, label]
        side = max((0, 1), key=lambda each: (room[each] > 0, lacks[each], room[each]))
        chosen[sample], free[sample] = side == 1, False
        room[side] -= 1
        lacking[side] -= has[sample]

    left = total.copy()
    while left.any():
        rarest = int(np.argmin(np.where(left > 0, left, len(has) + 1)))
        for sample in order[has[order, rarest] & free[order]]:
            deal(int(sample), rarest)
            left -= has[sample]
    for sample in order[free[order]]:
        deal(int(sample), None)
    return chosen


def _share(count: int, share: float) -> int:
    return max(0, min(max(1, round(share * count)), count - 1))
