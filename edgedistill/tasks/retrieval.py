"""Images and texts in one space: which caption fits an image, and which images a caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact, JsonValue
from edgedistill.records import TextsRecord
from edgedistill.tasks import classification
from edgedistill.tasks.base import Head, Task
from edgedistill.tasks.calibration import softmax

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]
FILE = "texts.npy"
"""(captions, dimensions), float32, in a teacher's artifact and in a bundle."""


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
        """Share of the images (images, dimensions), in percent, whose own caption is among the `k`
        nearest; images without one (label -1) do not count. labels: (images,)."""
        known = labels >= 0
        near = np.argsort(-self.similarities(images[known]), axis=1, kind="stable")[:, :k]
        return float(100.0 * (near == labels[known][:, None]).any(axis=1).mean())

    def precision(self, images: Array, labels: Array, k: int = 10) -> float:
        """Of the `k` images nearest to a caption, the share that it belongs to, in percent; the
        mean over the captions that any image has. images: (images, dimensions); labels:
        (images,)."""
        near = np.argsort(-self.similarities(images).T, axis=1, kind="stable")[:, :k]
        there = np.unique(labels[labels >= 0])
        return float(100.0 * (labels[near[there]] == there[:, None]).mean())

    def agreement(self, images: Array, reference: Array) -> float:
        """Share of the images (images, dimensions) that are nearest to the same caption."""
        first, second = (self.similarities(each).argmax(axis=1) for each in (images, reference))
        return float((first == second).mean())

    def shares(self, images: Array) -> Array:
        """(images, captions): how likely each caption is for embeddings (images, dimensions)."""
        return softmax(self.similarities(images))

    def head(self) -> Head:
        """As `similarities`, with gradients."""
        import torch
        from torch.nn import functional as F

        scaled = torch.from_numpy(self.scale * self.embeddings)

        def head(images: torch.Tensor) -> torch.Tensor:
            return F.linear(F.normalize(images, dim=1), scaled.to(images.device))

        return head


class Retrieval(classification.Classification):
    """Its outputs are images' places; a label is the number of the caption that belongs to one.
    Beside the captions' places, all is as where one class is right."""

    name = "retrieval"
    mixes = False  # no caption tells of two images in one
    metric = "recall@1"
    loss_options = frozenset({"smoothing", "standardize", "decoupled"})
    audited = False
    by_texts = True
    agreement_called = "the same text nearest"

    def __init__(self, texts: Texts | None = None) -> None:
        self._texts = texts

    @property
    def texts(self) -> Texts:
        """What images are compared with, once the teacher has placed it."""
        assert self._texts is not None, "a retrieval without texts"
        return self._texts

    def quality(self, outputs: Array, labels: Array) -> float:
        """Recall at 1, of embeddings (images, dimensions)."""
        return self.texts.recall(outputs, labels)

    def further(self, outputs: Array, labels: Array) -> dict[str, float]:
        """Recall at 5, and from captions to images the precision at 10."""
        return {
            "recall_at_5": self.texts.recall(outputs, labels, 5),
            "text_to_image_precision_at_10": self.texts.precision(outputs, labels),
        }

    def agreement(self, outputs: Array, reference: Array) -> float:
        """(images, dimensions) each: the share that is nearest to the same caption."""
        return self.texts.agreement(outputs, reference)

    def scores(self, outputs: Array) -> Array:
        """(images, captions): how likely each caption is."""
        return self.texts.shares(outputs)

    def reading(self, temperature: float) -> str:
        """How an embedding is compared with the bundle's texts; no temperature is fitted."""
        return (
            "the real values are the image's embedding: divided by its length, its products with "
            "the rows of `texts.file`, times `texts.scale`, are what softmax makes the labels' "
            "probabilities of"
        )

    def head(self) -> Head:
        """Embeddings (images, dimensions) to scaled cosines (images, captions)."""
        return self.texts.head()

    def teacher_head(self, module: Any, captions: Sequence[str]) -> Head:
        """The text encoder learns along: captions are placed anew for each batch."""

        def head(images: torch.Tensor) -> torch.Tensor:
            similarities: torch.Tensor = module.similarities(images, captions)
            return similarities

        return head

    def with_teacher(self, teacher: Any, captions: Sequence[str], folder: Path) -> Retrieval:
        """teacher: a `dual_encoder` being evaluated, or what gives `texts(captions) -> Texts`."""
        placed = _placed(teacher, captions)
        np.save(folder / FILE, placed.embeddings)
        TextsRecord(tuple(captions), placed.scale).write(folder)
        return Retrieval(placed)

    def of_teacher(self, artifact: Artifact) -> Retrieval:
        """With the captions' places that `with_teacher` wrote."""
        return Retrieval(Texts(np.load(artifact.file(FILE)), TextsRecord.read(artifact).scale))

    def carried(self, teacher: Artifact) -> dict[str, Path]:
        """The captions' places, `texts.npy`."""
        return {FILE: teacher.file(FILE)}

    def described(self, teacher: Artifact) -> dict[str, JsonValue]:
        """The file, its captions in order, and the scale."""
        record = TextsRecord.read(teacher)
        return {"file": FILE, "captions": list(record.captions), "scale": record.scale}

    def of_bundle(self, described: Any, array: Callable[[str, int], Array]) -> Task:
        """With the captions' places (captions, dimensions) that the bundle carries; without texts
        in it, the task as it is."""
        return Retrieval(Texts(array(FILE, 2), described["scale"])) if described else self


def _placed(teacher: Any, captions: Sequence[str]) -> Texts:
    import torch

    with torch.no_grad():
        placed = teacher.texts(captions)
        if isinstance(placed, Texts):
            return placed
        return Texts(placed.cpu().numpy(), float(teacher.scale))
