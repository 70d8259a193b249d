"""Small models of sound, and sounds made up for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor, nn

from edgedistill.models import build
from edgedistill.recipe import Model
from edgedistill.signature import sound_inputs

RATE, LENGTH, CLASSES = 8000, 2880, 3
FRONT_END = {"rate": RATE, "bands": 12, "highest_hz": 4000}
DS_CNN: dict[str, Any] = {
    "family": "ds_cnn", "front_end": FRONT_END, "width": 8, "blocks": 2, "time_kernel": 4,
    "band_kernel": 4, "band_stride": 2,
}  # fmt: skip
PCEN = DS_CNN | {"front_end": FRONT_END | {"compression": "pcen", "memory_ms": 80}}
BC_RESNET: dict[str, Any] = {
    "family": "bc_resnet", "front_end": FRONT_END | {"bands": 16}, "sub_bands": 2, "scale": 0.5,
    "blocks": [1, 1, 1, 2], "dilations": [1, 1, 1, 2],
}  # fmt: skip
TRANSFORMER: dict[str, Any] = {
    "family": "keyword_transformer", "front_end": FRONT_END, "width": 8, "layers": 2, "heads": 2,
    "frames": 3,
}  # fmt: skip


def model_of(values: dict[str, Any]) -> Model:
    parsed: Model = TypeAdapter(Model).validate_python(values)
    return parsed


def built(values: dict[str, Any], length: int = LENGTH) -> nn.Module:
    """With statistics of batch norm and answers that a training might leave."""
    torch.manual_seed(0)
    module = build(model_of(values), CLASSES, sound_inputs(length))
    module.train()
    with torch.no_grad():
        for seed in range(20):
            module(waves(8, length, seed))
    return module.eval()


def waves(batch: int, length: int = LENGTH, seed: int = 0, rate: int = RATE) -> Tensor:
    """(batch, length): chirps of different loudness over noise."""
    return torch.from_numpy(np.stack([chirp(length, seed * 1000 + n, rate) for n in range(batch)]))


def chirp(length: int, seed: int, rate: int = RATE) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    low, high = random.uniform(100, rate / 2, 2)
    hertz = low + (high - low) * np.linspace(0, 1, length)
    sound = 10 ** random.uniform(-3, -0.2) * np.sin(2 * np.pi * np.cumsum(hertz) / rate)
    sound += 10 ** random.uniform(-4, -1.5) * random.normal(size=length)
    envelope = np.linspace(0.01, 1, length) ** random.uniform(0, 2)
    return np.clip(sound * envelope, -1, 1).astype(np.float32)
