"""What quality means for a classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgedistill.data import Split

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Pixels (batch, channels, height, width) in 0..1 to logits (batch, classes)."""


def logits_of(predict: Predict, split: Split, batch_size: int = 500) -> NDArray[np.float32]:
    """Logits (samples, classes) of a whole split, in its order."""
    parts = [
        predict(split.pixels(np.arange(start, min(start + batch_size, len(split)))))
        for start in range(0, len(split), batch_size)
    ]
    return np.concatenate(parts)


def accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Top-1 accuracy, in percent, where the label is known (not -1)."""
    known = labels >= 0
    return float(100.0 * (logits.argmax(axis=1) == labels)[known].mean())


def torch_predictor(module: Any, precision: str = "fp32") -> Predict:
    """A torch module or exported graph, in evaluation mode already, as a function on arrays."""
    import torch

    def predict(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
        ):
            logits: NDArray[np.float32] = module(batch).float().numpy()
        return logits

    return predict


def state_of_split(
    answers: NDArray[np.float32] | None, data_folder: Path, name: str
) -> dict[str, float]:
    """The accuracy (percent) of logits (samples, classes) for a split; nothing for no answers."""
    from edgedistill.data import open_split

    if answers is None:
        return {}
    return {f"{name}_accuracy": accuracy(answers, open_split(data_folder, name).labels)}


def state_of_model(module: Any, data_folder: Path, data: dict[str, Any]) -> dict[str, float]:
    """A model's validation accuracy (percent), macs (millions) and params (thousands)."""
    from edgedistill.data import open_split
    from edgedistill.models import count

    split = open_split(data_folder, "validation")
    module.eval()
    macs, params = count(module, data["channels"], data["image_size"])
    return {
        "validation_accuracy": accuracy(logits_of(torch_predictor(module), split), split.labels),
        "macs": macs,
        "params": params,
    }
