"""One RESHAPE, one TRANSPOSE and one RESHAPE for a row of them, as a pixel shuffle is written."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.transposes import integers, permutation

_RANK = 6
"""Axes that LiteRT's TRANSPOSE takes at most."""


def shorten_chains(file: File) -> None:
    """Rewrite each row of RESHAPEs and TRANSPOSEs that has two TRANSPOSEs or more."""
    seen: set[int] = set()
    for operator in list(file.operators):
        if id(operator) in seen or file.kind(operator) not in ("RESHAPE", "TRANSPOSE"):
            continue
        chain = _chain(file, operator)
        seen.update(map(id, chain))
        if sum(file.kind(each) == "TRANSPOSE" for each in chain) > 1:
            _shorten(file, chain)


def _chain(file: File, first: Any) -> list[Any]:
    """`first` and what follows it, each the only reader of the one before."""
    chain = [first]
    while True:
        output = chain[-1].outputs[0]
        readers = file.consumers(output)
        if len(readers) != 1 or output in file.graph.outputs:
            return chain
        if file.kind(readers[0]) not in ("RESHAPE", "TRANSPOSE"):
            return chain
        chain.append(readers[0])


class _Parts:
    """The source's values as a product of axes, split as far as the chain asks: `memory` in the
    source's order, `order` in that of what the chain has come to."""

    def __init__(self, shape: list[int]) -> None:
        self.sizes = dict(enumerate(shape))
        self.memory = list(self.sizes)
        self.axes = [[axis] for axis in self.memory]

    @property
    def order(self) -> list[int]:
        return [part for axis in self.axes for part in axis]

    def transpose(self, order: tuple[int, ...]) -> None:
        self.axes = [self.axes[axis] for axis in order]

    def reshape(self, shape: list[int]) -> bool:
        """Says whether the axes of `shape` are made of whole parts."""
        rest = [part for part in self.order if self.sizes[part] != 1]
        axes: list[list[int]] = []
        for size in shape:
            axis: list[int] = []
            while (missing := size // int(np.prod([self.sizes[part] for part in axis]))) > 1:
                part = rest.pop(0)
                if self.sizes[part] > missing:
                    if self.sizes[part] % missing:
                        return False
                    rest.insert(0, self._split(part, missing))
                elif missing % self.sizes[part]:
                    return False
                axis.append(part)
            axes.append(axis)
        self.axes = axes
        return not rest

    def _split(self, part: int, size: int) -> int:
        """Make `part` one of `size`; returns the one that takes the rest, behind it."""
        new = len(self.sizes)
        self.sizes[new], self.sizes[part] = self.sizes[part] // size, size
        self.memory.insert(self.memory.index(part) + 1, new)
        return new

    def runs(self) -> list[list[int]]:
        """Parts that follow each other before and after, in the order after."""
        memory = [part for part in self.memory if self.sizes[part] != 1]
        found: list[list[int]] = []
        for part in (part for part in self.order if self.sizes[part] != 1):
            if found and memory.index(part) == memory.index(found[-1][-1]) + 1:
                found[-1].append(part)
            else:
                found.append([part])
        return found


def _shorten(file: File, chain: list[Any]) -> None:
    source, output = chain[0].inputs[0], chain[-1].outputs[0]
    parts = _Parts([int(size) for size in file.tensor(source).shape])
    for operator in chain:
        if file.kind(operator) == "TRANSPOSE":
            order = permutation(file, operator)
            if not order:
                return
            parts.transpose(order)
        elif not parts.reshape([int(size) for size in file.tensor(operator.outputs[0]).shape]):
            return
    runs = parts.runs()
    if len(runs) > _RANK:
        return
    before = sorted(runs, key=lambda run: parts.memory.index(run[0]))
    sizes = [int(np.prod([parts.sizes[part] for part in run])) for run in before]
    turn = [before.index(run) for run in runs]
    split = file.add_tensor(tuple(sizes), source)
    turned = file.add_tensor(tuple(sizes[axis] for axis in turn), source)
    final = integers(file, [int(size) for size in file.tensor(output).shape])
    made = [
        file.new_operator("RESHAPE", [source, integers(file, sizes)], [split]),
        file.new_operator("TRANSPOSE", [split, integers(file, turn)], [turned]),
        file.new_operator("RESHAPE", [turned, final], [output]),
    ]
    place = file.operators.index(chain[0])
    for operator in chain:
        file.operators.remove(operator)
    file.operators[place:place] = made
