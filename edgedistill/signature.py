"""What goes into a model and comes out of it, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Layout = Literal["NHWC", "NCHW", "NC", ""]
"""The order of a tensor's axes; empty where a runtime may not lay them out anew."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output. `real = scale * (stored - zero_point)` where it holds integers."""

    name: str
    shape: tuple[int | None, ...]
    """None where any size goes (the batch)."""
    layout: Layout = ""
    dtype: str = "float32"
    scale: float | None = None
    zero_point: int | None = None
    range: tuple[float, float] | None = None
    """Of the real values an app feeds."""

    def of_batch(self, batch: int) -> tuple[int, ...]:
        """The shape with a batch of that size."""
        return tuple(batch if size is None else size for size in self.shape)


Inputs = tuple[TensorSpec, ...]
"""What a model is called with, in that order."""


@dataclass(frozen=True)
class Signature:
    """A program's inputs and outputs; what a stateful one gives back is its next call's input."""

    inputs: Inputs
    outputs: tuple[TensorSpec, ...]
    state: Mapping[str, str] = field(default_factory=dict)
    """Name of an output to the name of the input that it feeds back to."""


def pixels(channels: int, height: int, width: int) -> Inputs:
    """The input of a model of pictures: float32 (batch, channels, height, width) in 0..1."""
    return (TensorSpec("pixels", (None, channels, height, width), "NCHW", range=(0.0, 1.0)),)


def picture(inputs: Inputs) -> tuple[int, int, int] | None:
    """(channels, height, width) of a model's only input; None where it is no picture."""
    if len(inputs) != 1 or inputs[0].layout != "NCHW":
        return None
    _, channels, height, width = inputs[0].shape
    if channels is None or height is None or width is None:
        return None
    return channels, height, width
