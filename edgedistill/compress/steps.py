"""Samples of a split as the calls of a program, one sample behind the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgedistill.compress.streams import pieces
from edgedistill.data import Split
from edgedistill.program import Program

if TYPE_CHECKING:
    from torch import Tensor


MOST = 500
"""Of a program that keeps a state, at least, where the test set has as many."""


def steps_of(program: Program, name: str, split: Split) -> list[tuple[Tensor, ...]]:
    """Inputs (1, ...) of the first calls of the program `name`, no more samples than that takes."""
    import torch

    steps: list[tuple[Tensor, ...]] = []
    for sample in range(len(split)):
        if len(steps) >= MOST:
            break
        arrays = split.inputs(np.arange(sample, sample + 1)).values()
        steps += pieces(program, name, tuple(map(torch.from_numpy, arrays)))
    return steps
