"""Operators whose price is asked of a device, and between which of them others lie.

Kernels compute in tiles, so a price is a function with steps: sizes are taken up to whole tiles. In
whole tiles it is straight enough to go from one of a ladder's rungs to the next: each is at most
half as large again as the last.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from edgedistill.models.steps import Kind, Step, Work
from edgedistill.target import Kernel

EXACT = 64
"""Positions that are asked as they are: few of them fill tiles whose height nobody told."""

_TILES = 16
"""Tiles of a product's channels that are asked as they are: kernels take several in a step, and
what is left over by one."""
_DEPTHWISE = 256
"""Channels of a depthwise convolution that are asked as they are: one that does not fill a tile
costs more than the whole tile."""


MOVING = ("pad", "slice", "strided_slice", "concatenation")
"""Move memory: the channels of a position lie together, and positions apart."""


@dataclass(frozen=True, order=True)
class Probe:
    """An operator of one size. `outputs` are the channels of an operator that is no product, or of
    a depthwise convolution."""

    kind: Literal["convolution", "depthwise", "linear"] | Kind
    outputs: int
    inputs: int = 1
    kernel: int = 1
    positions: int = 1

    @property
    def key(self) -> str:
        """Under which its price is stored."""
        return f"{self.kind} {self.outputs} {self.inputs} {self.kernel} {self.positions}"

    @classmethod
    def read(cls, key: str) -> Probe:
        """The probe of such a key."""
        kind, *sizes = key.split()
        return cls(kind, *map(int, sizes))  # type: ignore[arg-type]


def probe_of(work: Work, kernel: Kernel) -> tuple[Probe, int]:
    """The operator that costs as `work` does, in whole tiles, and how many of it."""
    if isinstance(work, Step):
        if work.kind in MOVING:
            return Probe(work.kind, max(2, work.channels), 1, 1, work.positions), 1
        if work.kind in ("mean", "max_pool", "average_pool"):
            return Probe(work.kind, work.channels, 1, work.kernel, work.positions), 1
        if work.kind == "softmax":
            return Probe(work.kind, work.channels, 1, 1, work.positions), 1
        return Probe(work.kind, work.elements), 1
    if work.groups > 1 and work.inputs == 1:
        channels = work.groups * work.outputs
        return Probe("depthwise", channels, 1, work.kernel, work.positions), 1
    outputs = _up(work.outputs, kernel.output_channels)
    inputs = _up(work.inputs, kernel.input_channels)
    kind: Literal["convolution", "linear"] = "convolution"
    if work.kernel == 1 and work.positions == 1:
        kind = "linear"
    return Probe(kind, outputs, inputs, work.kernel, work.positions), work.groups


def around(probe: Probe, kernel: Kernel) -> list[tuple[Probe, float]]:
    """The rungs between which a probe lies, each with its weight: 1 for one that is a rung."""
    plain = probe.kind not in ("convolution", "depthwise", "linear")
    depthwise = probe.kind == "depthwise"
    tile = 1 if plain or depthwise else kernel.output_channels
    step = 1 if plain else kernel.input_channels
    exact = _DEPTHWISE if depthwise else 1 if plain else _TILES
    axes = (
        _between(probe.outputs, tile, exact),
        _between(probe.inputs, step, _TILES),
        [(probe.positions, 1.0)] if probe.positions <= EXACT else _between(probe.positions, 1),
    )
    return [
        (replace(probe, outputs=o, inputs=i, positions=p), first * second * third)
        for (o, first), (i, second), (p, third) in itertools.product(*axes)
    ]


def _between(size: int, tile: int, exact: int = 1) -> list[tuple[int, float]]:
    """The two rungs around a size, with weights; tile: the first rung; up to `exact` tiles each is
    one."""
    if size <= exact * tile:
        whole = _up(size, tile)
        return [(whole, 1.0)]
    low = high = tile
    for high in (tile * rung for rung in _ladder()):
        if high >= size:
            break
        low = high
    if high == size:
        return [(size, 1.0)]
    share = (size - low) / (high - low)
    return [(low, 1 - share), (high, share)]


def _ladder() -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, ..."""
    yield 1
    for power in itertools.count(1):
        yield 2**power
        yield 3 * 2 ** (power - 1)


def _up(count: int, tile: int) -> int:
    return -(-count // tile) * tile
