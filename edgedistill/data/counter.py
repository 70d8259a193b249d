"""Random numbers from counters: the same (seed, id, view, slot) gives the same number anywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def _mix_all(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(31))


def uniform(seed: int, ids: NDArray[np.int64], view: int = 0, slot: int = 0) -> NDArray[np.float64]:
    """One number in [0, 1) for each of `ids` (batch,), the same in whatever batch the id comes.

    SplitMix64 (Steele, Lea, Flood 2014, figure 16) started at a key made of the other three.
    """
    key = 0
    for part in (seed, view, slot):
        key = _mix((key + _GAMMA + part) & _MASK)
    state = ids.astype(np.uint64) * np.uint64(_GAMMA) + np.uint64(key)
    return (_mix_all(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53
