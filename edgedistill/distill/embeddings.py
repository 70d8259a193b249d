"""What a model sees of samples before it decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.data import Split
from edgedistill.predict import torch_predictor

if TYPE_CHECKING:
    from torch import nn

    from edgedistill.runtimes import Floats


def embeddings(model: nn.Module, split: Split, ids: Any) -> Floats:
    """What enters the layer that gives the answer, (samples, channels)."""
    import torch

    from edgedistill.distill.feature_hooks import FeatureHooks
    from edgedistill.losses.base import EMBEDDING

    feature_hooks = FeatureHooks().on(
        model, [EMBEDDING], "student", tuple(map(torch.from_numpy, split.inputs(ids[:1]).values()))
    )
    predict: Callable[[Any], Any] = torch_predictor(model)
    rows = []
    for start in range(0, len(ids), 500):
        predict(*split.inputs(ids[start : start + 500]).values())
        rows.append(feature_hooks.seen[EMBEDDING].float().numpy())
    feature_hooks.close()
    return np.concatenate(rows)
