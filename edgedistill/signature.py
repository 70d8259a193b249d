"""What goes into a model and comes out of it, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Generator, Tensor

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

    @property
    def answer(self) -> int:
        """The place among the outputs of the one that a task judges: `logits`, else the first."""
        names = [each.name for each in self.outputs]
        return names.index("logits") if "logits" in names else 0

    @property
    def fresh(self) -> Inputs:
        """The inputs that are no state."""
        fed_back = set(self.state.values())
        return tuple(each for each in self.inputs if each.name not in fed_back)


def image_inputs(channels: int, height: int, width: int) -> Inputs:
    """The input of a model of pictures: float32 (batch, channels, height, width) in 0..1."""
    return (TensorSpec("pixels", (None, channels, height, width), "NCHW", range=(0.0, 1.0)),)


def sound_inputs(length: int) -> Inputs:
    """The input of a model of sound: float32 (batch, length), raw samples in -1..1."""
    return (TensorSpec("samples", (None, length), range=(-1.0, 1.0)),)


def sound_length(inputs: Inputs) -> int | None:
    """How many raw samples a model takes as its only input; None where it takes no sound."""
    if [each.name for each in inputs] != ["samples"] or len(inputs[0].shape) != 2:
        return None
    return inputs[0].shape[1]


def image_shape(inputs: Inputs) -> tuple[int, int, int] | None:
    """(channels, height, width) of a model's only input; None where it is no picture."""
    if len(inputs) != 1 or inputs[0].layout != "NCHW":
        return None
    _, channels, height, width = inputs[0].shape
    if channels is None or height is None or width is None:
        return None
    return channels, height, width


def image_size(inputs: Inputs) -> tuple[int, int] | None:
    """(height, width) of a model's only input; None where it is no picture."""
    shape = image_shape(inputs)
    return None if shape is None else shape[1:]


def with_channels(inputs: Inputs, channels: int) -> Inputs:
    """A picture's inputs with another number of channels."""
    (only,) = inputs
    batch, _, *size = only.shape
    return (replace(only, shape=(batch, channels, *size)),)


def blank(inputs: Inputs, batch: int = 1, device: Any = None) -> tuple[Tensor, ...]:
    """Zeros to call a model with, (batch, ...) for each input in order."""
    import torch

    return tuple(
        torch.zeros(each.of_batch(batch), dtype=getattr(torch, each.dtype), device=device)
        for each in inputs
    )


def noise(inputs: Inputs, batch: int, random: Generator) -> tuple[Tensor, ...]:
    """Values drawn evenly from each input's range (0..1 where it has none) to call a model with,
    (batch, ...) for each in order."""
    import torch

    def draw(spec: TensorSpec) -> Tensor:
        low, high = spec.range or (0.0, 1.0)
        drawn = torch.rand(spec.of_batch(batch), generator=random) * (high - low) + low
        return drawn.to(getattr(torch, spec.dtype))

    return tuple(map(draw, inputs))


def in_words(inputs: Inputs) -> str:
    """`3x32x40`, the shape of one sample; of several inputs each with its name."""
    shapes = ["x".join("?" if size is None else str(size) for size in each.shape[1:])
              for each in inputs]  # fmt: skip
    if len(inputs) == 1:
        return shapes[0]
    return ", ".join(f"{each.name} {shape}" for each, shape in zip(inputs, shapes, strict=True))
