"""A tiny net that listens: samples to log-mel-like features in float, convolutions after them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgedistill.signature import Signature, TensorSpec

HOP, BANDS, FRAMES, WIDTH, CLASSES = 16, 10, 20, 8, 3
LENGTH = HOP * (FRAMES + 2)
KERNEL = 3
INPUTS = (TensorSpec("samples", (None, LENGTH), range=(-1.0, 1.0)),)


class FrontEnd(nn.Module):
    """Frames of three hops, a window, power of the sines and cosines, bands, logarithm."""

    window: Tensor
    waves: Tensor
    bands: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        size = 3 * HOP
        turns = torch.outer(torch.arange(size), torch.arange(size // 2)) * (2 * torch.pi / size)
        self.register_buffer("window", torch.hann_window(size))
        self.register_buffer("waves", torch.cat([turns.cos(), turns.sin()], 1))
        self.register_buffer("bands", torch.rand(size // 2, BANDS).pow(8))
        self.register_buffer("mean", torch.full((BANDS,), -1.0))
        self.register_buffer("spread", torch.full((BANDS,), 0.25))

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, hops * HOP) to (batch, 1, hops - 2, BANDS)."""
        hops = samples.reshape(-1, samples.shape[1] // HOP, HOP)
        frames = torch.cat([hops[:, :-2], hops[:, 1:-1], hops[:, 2:]], 2) * self.window
        real, imaginary = (frames @ self.waves).chunk(2, 2)
        power = real * real + imaginary * imaginary
        logs = torch.log(power @ self.bands + 1e-3)
        return ((logs - self.mean) * self.spread).unsqueeze(1)


class Sounds(nn.Module):
    """Two separable convolutions over time and a mean; `step` takes one hop."""

    float_parts = ("front_end",)

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.front_end = FrontEnd()
        self.stem = nn.Conv2d(1, WIDTH, (KERNEL, BANDS), bias=False)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.deep = nn.Conv2d(WIDTH, WIDTH, (KERNEL, 1), groups=WIDTH)
        self.wide = nn.Conv2d(WIDTH, 2 * WIDTH, 1)
        self.head = nn.Linear(2 * WIDTH, classes)

    def _stem(self, features: Tensor) -> Tensor:
        return torch.relu(self.norm(self.stem(features)))

    def _deep(self, features: Tensor) -> Tensor:
        return torch.relu(self.wide(torch.relu(self.deep(features))))

    def _answer(self, features: Tensor) -> Tensor:
        answer: Tensor = self.head(features.mean((2, 3)))
        return answer

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, LENGTH) in -1..1 to (batch, classes)."""
        return self._answer(self._deep(self._stem(self.front_end(samples))))

    def step(
        self, samples: Tensor, heard: Tensor, seen: Tensor, felt: Tensor, kept: Tensor
    ) -> tuple[Tensor, ...]:
        """A hop (batch, HOP) and the states: samples, features, the stem's, the last ones."""
        heard = torch.cat([heard, samples], 1)
        seen = torch.cat([seen, self.front_end(heard)], 2)
        felt = torch.cat([felt, self._stem(seen)], 2)
        kept = torch.cat([kept, self._deep(felt)], 2)
        return self._answer(kept), heard[:, HOP:], seen[:, :, 1:], felt[:, :, 1:], kept[:, :, 1:]

    def programs(self) -> dict[str, tuple[Any, Signature]]:
        """`step`, whose states are as long as the window of `main` needs."""
        last = FRAMES - 2 * (KERNEL - 1)
        shapes = {"heard": (None, 2 * HOP), "seen": (None, 1, KERNEL - 1, BANDS),
                  "felt": (None, WIDTH, KERNEL - 1, 1),
                  "kept": (None, 2 * WIDTH, last - 1, 1)}  # fmt: skip
        ins = [TensorSpec(f"{name}_in", shape) for name, shape in shapes.items()]
        outs = [TensorSpec(f"{name}_out", shape) for name, shape in shapes.items()]
        inputs = TensorSpec("samples", (None, HOP), range=(-1.0, 1.0)), *ins
        outputs = TensorSpec("logits", (None, CLASSES), "NC"), *outs
        state = {f"{name}_out": f"{name}_in" for name in shapes}
        return {"step": (self.step, Signature(inputs, outputs, state))}


def sounds(count: int, length: int = LENGTH, seed: int = 0) -> Tensor:
    """(count, length): noise that comes and goes."""
    random = torch.Generator().manual_seed(seed)
    envelope = torch.rand(count, length // HOP, 1, generator=random).pow(2)
    return (envelope * torch.randn(count, length // HOP, HOP, generator=random)).flatten(1) * 0.3
