"""A teacher that gives embeddings, and a linear layer from them to the data's classes, fitted to
the training labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from edgedistill.data import Split, View
from edgedistill.distill import logistic
from edgedistill.distill.teachers import (
    Floats,
    Ids,
    Predictions,
    Teacher,
    TeacherBatch,
    TeacherContext,
)
from edgedistill.errors import UserError, reading

HEAD = "head.npz"
AT_ONCE = 256


class FittedTeacher:
    """Answers with what the layer makes of the embeddings, (batch, classes)."""

    def __init__(self, body: Teacher, context: TeacherContext) -> None:
        """The layer lies in the context's artifact. Raises UserError: it is damaged."""
        self._body = body
        file = context.artifact / HEAD
        hint = "remove the cache's folder of the stage `teacher`"
        with reading(str(file), hint), np.load(file, allow_pickle=False) as kept:
            self._weights: Floats = kept["weights"]
            self._bias: Floats = kept["bias"]

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """As the body's answers come. Raises UserError: as the body does."""
        for part in self._body.predict(batch):
            yield Predictions(part.at, part.logits @ self._weights + self._bias)


def embeddings(found: Floats, count: int, who: str) -> Floats:
    """(batch, dimensions) of what `who` gave for `count` samples: of maps, or of frames, their
    mean. Raises UserError: it is of other samples."""
    if found.ndim < 2 or len(found) != count:
        raise UserError(
            f"{who} answers with shape {found.shape} for {count} samples",
            f"an embedding is (batch, dimensions), here ({count}, any)",
        )
    mean: Floats = found.reshape(count, -1, found.shape[-1]).mean(axis=1)
    return mean


Tick = Callable[[float, float, str], None]
"""Told how many samples were embedded, of how many, and what comes next."""


def fit(
    body: Teacher, train: Split, held_out: Split, view: View, context: TeacherContext, tick: Tick
) -> None:
    """Logistic regression on the embeddings of the labelled training samples as they are and as
    they look in `view`, each dimension brought to one deviation; kept in the context's artifact.

    Raises UserError: as the body does; embeddings that are no finite numbers.
    """
    ids = np.flatnonzero(train.labels >= 0)
    known = np.flatnonzero(held_out.labels >= 0)
    asked = [(train, ids, None), (train, ids, view), (held_out, known, None)]
    total, done = sum(len(each[1]) for each in asked), 0
    found: list[list[Floats]] = [[] for _ in asked]
    for (split, chosen, look), rows in zip(asked, found, strict=True):
        for part in _embeddings(body, split, chosen, look):
            rows.append(part)
            done += len(part)
            tick(done, total, "embeddings")
    *looks, tried = map(np.concatenate, found)
    inside, labels = np.concatenate(looks), np.tile(train.labels[ids], len(looks))
    if not (np.isfinite(inside).all() and np.isfinite(tried).all()):
        raise UserError(
            "the teacher's embeddings are not finite", "check its weights and its input"
        )
    weights, bias = logistic.fit(inside, labels, tried, held_out.labels[known])
    assert len(bias) == len(context.classes), "every class has training samples"
    np.savez(context.artifact / HEAD, weights=weights, bias=bias)


def _embeddings(body: Teacher, split: Split, ids: Ids, view: View | None) -> Iterator[Floats]:
    """(some samples, dimensions), in order."""
    for start in range(0, len(ids), AT_ONCE):
        chosen = ids[start : start + AT_ONCE]
        inputs = split.inputs(chosen, view)
        batch = TeacherBatch(chosen, split.samples[chosen], False, inputs)
        parts = list(body.predict(batch))
        order = np.argsort(np.concatenate([part.at for part in parts]))
        yield np.concatenate([part.logits for part in parts])[order]
