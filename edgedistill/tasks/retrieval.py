"""Images and texts in one space: which caption fits an image, and which images a caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.tasks.calibration import softmax

Array = NDArray[Any]


@dataclass(frozen=True)
class Texts:
    """The captions' place in the space.

    embeddings: (captions, dimensions), float32, of length 1; scale: what cosines are multiplied by
    before a softmax.
    """

    embeddings: Array
    scale: float

    def similarities(self, images: Array) -> Array:
        """(images, captions): cosines of embeddings (images, dimensions), times the scale."""
        lengths = np.linalg.norm(images, axis=1, keepdims=True)
        scaled: Array = self.scale * (images / np.maximum(lengths, 1e-12)) @ self.embeddings.T
        return scaled

    def recall(self, images: Array, labels: Array, k: int = 1) -> float:
        """Share of the images, in percent, whose own caption is among the `k` nearest; images
        without one (label -1) do not count."""
        known = labels >= 0
        near = np.argsort(-self.similarities(images[known]), axis=1, kind="stable")[:, :k]
        return float(100.0 * (near == labels[known][:, None]).any(axis=1).mean())

    def precision(self, images: Array, labels: Array, k: int = 10) -> float:
        """Of the `k` images nearest to a caption, the share that it belongs to, in percent; the
        mean over the captions that any image has."""
        near = np.argsort(-self.similarities(images).T, axis=1, kind="stable")[:, :k]
        there = np.unique(labels[labels >= 0])
        return float(100.0 * (labels[near[there]] == there[:, None]).mean())

    def agreement(self, images: Array, reference: Array) -> float:
        """Share of the images that are nearest to the same caption."""
        first, second = (self.similarities(each).argmax(axis=1) for each in (images, reference))
        return float((first == second).mean())

    def shares(self, images: Array) -> Array:
        """(images, captions): how likely each caption is."""
        return softmax(self.similarities(images))
