"""What chance makes of a difference between two models on the same samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DRAWS = 200


def paired_noise(
    quality: Callable[[NDArray[Any], NDArray[Any]], float],
    first: NDArray[Any],
    second: NDArray[Any],
    labels: NDArray[Any],
) -> float:
    """Standard error, in points, of the difference of two models' quality, by a paired bootstrap
    over the samples (Efron and Tibshirani 1993).

    first, second: outputs (samples, values) for the same samples; quality: of outputs and labels.
    """
    random = np.random.default_rng(0)
    drawn = (random.integers(0, len(labels), len(labels)) for _ in range(_DRAWS))
    apart = [quality(first[ids], labels[ids]) - quality(second[ids], labels[ids]) for ids in drawn]
    return float(np.std(apart))
