"""Several teachers as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from edgedistill.distill.teachers import (
    Floats,
    Predictions,
    Teacher,
    TeacherBatch,
    TeacherContext,
    log_probabilities,
    open_teacher,
)
from edgedistill.errors import UserError
from edgedistill.recipe import Ensemble

Doubles = NDArray[np.float64]


class EnsembleTeacher:
    """Answers with the weighted mean of its members' probabilities (Hinton et al. 2015,
    section 1)."""

    def __init__(self, config: Ensemble, context: TeacherContext) -> None:
        weights = np.array([member.weight for member in config.members])
        self._weights: Doubles = weights / weights.sum()
        self._classes = len(context.classes)
        self._members: list[Teacher] = []
        for number, member in enumerate(config.members):
            own = dataclasses.replace(context, artifact=context.artifact / f"member{number}")
            with _naming(number):
                self._members.append(open_teacher(member.teacher, own))

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """All at once: logarithms of the mean, and the weight of the members that vote for its
        top-1. Raises UserError: what a member raises, with its number."""
        mean: Doubles = np.zeros((len(batch.ids), self._classes))
        votes = []
        for number, (member, weight) in enumerate(zip(self._members, self._weights, strict=True)):
            with _naming(number):
                logits = self._all(member, batch)
            mean += weight * _softmax(logits)
            votes.append(logits.argmax(axis=1))
        agreeing = np.array(votes) == mean.argmax(axis=1)
        agreement: Floats = (self._weights @ agreeing).astype(np.float32)
        yield Predictions(np.arange(len(mean)), log_probabilities(mean), agreement)

    def _all(self, member: Teacher, batch: TeacherBatch) -> Floats:
        """A member's answers, put together: (batch, classes)."""
        logits: Floats = np.full((len(batch.ids), self._classes), np.nan, np.float32)
        for part in member.predict(batch):
            logits[part.at] = part.logits
        return logits


def open_(config: Ensemble, context: TeacherContext) -> EnsembleTeacher:
    """The files of member i lie in the folder `member{i}` of the artifact."""
    return EnsembleTeacher(config, context)


@contextmanager
def _naming(number: int) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"member {number}: {error.message}", error.hint) from error


def _softmax(logits: Floats) -> Doubles:
    raised: Doubles = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: Doubles = raised / raised.sum(axis=1, keepdims=True)
    return shares
