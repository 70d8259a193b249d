"""Ask a model about a whole split, and see how good it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.tasks import task_of

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
    answers: NDArray[np.float32] | None, data_folder: Path, data: dict[str, Any], name: str
) -> dict[str, float]:
    """The quality (percent) of outputs (samples, classes) for a split; nothing for no answers."""
    from edgedistill.data import open_split

    if answers is None:
        return {}
    labels = open_split(data_folder, name).labels
    return {f"{name}_quality": task_of(data).quality(answers, labels)}


def state_of_model(module: Any, data_folder: Path, data: dict[str, Any]) -> dict[str, float]:
    """A model's quality on validation (percent), macs (millions) and params (thousands)."""
    from edgedistill.data import open_split
    from edgedistill.models import count

    split = open_split(data_folder, "validation")
    module.eval()
    macs, params = count(module, data["channels"], data["image_size"])
    outputs = logits_of(torch_predictor(module), split)
    return {
        "validation_quality": task_of(data).quality(outputs, split.labels),
        "macs": macs,
        "params": params,
    }
