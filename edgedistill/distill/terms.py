"""Each loss of a recipe, bound to the models that it compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedistill.distill import features, losses, relations
from edgedistill.distill.feature_hooks import EMBEDDING, ends, paired, shapes
from edgedistill.errors import UserError
from edgedistill.recipe import (
    Attention,
    Bounded,
    Decoupled,
    Exits,
    Hints,
    Labels,
    Loss,
    Peers,
    Relations,
    Similarity,
    SoftTargets,
)


@dataclass
class Batch:
    """What the losses of one batch look at.

    logits, teacher: (batch, classes), float32; target: (batch,), or (batch, values); trust and
    emphasis: (batch,), how far the teacher and the label count for each sample, 1 where they are
    None.
    """

    logits: Tensor
    target: Tensor
    teacher: Tensor | None
    trust: Tensor | None
    emphasis: Tensor | None
    student_sees: dict[str, Tensor]
    teacher_sees: dict[str, Tensor]
    peers: Sequence[Tensor] = ()

    def by_teacher(self) -> Tensor:
        assert self.teacher is not None, "a loss was planned without the teacher's answers"
        return self.teacher

    def trusted(self, values: Tensor) -> Tensor:
        """The mean of (batch,) values, each as far as the teacher is trusted."""
        return _mean(values, self.trust)

    def labelled(self, values: Tensor) -> Tensor:
        """The mean of (batch,) values, each as far as the label counts."""
        return _mean(values, self.emphasis)

    def kept(self, values: Tensor) -> Tensor:
        """The mean of (batch,) values that neither teacher nor label have a part in, without the
        samples that were dropped."""
        return _mean(values, None if self.emphasis is None else (self.emphasis > 0).float())


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    return values.mean() if weights is None else (values * weights).mean()


Term = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class ModelPair:
    """The models that a loss is bound to, and one image as they take it."""

    student: nn.Module
    teacher: nn.Module | None
    example: Tensor
    task: str = "classification"

    def teacher_module(self, loss: Loss) -> nn.Module:
        if self.teacher is None:
            raise UserError(
                f"the loss `{loss.kind}` compares inner layers, and this teacher has none to show",
                "take a teacher that is a torch model, or losses on the logits",
            )
        return self.teacher


@dataclass(frozen=True)
class BoundLoss:
    """A loss ready to be computed, and the layers it must see."""

    term: Term
    student_layers: tuple[str, ...] = ()
    teacher_layers: tuple[str, ...] = ()


def bind(loss: Loss, models: ModelPair) -> BoundLoss:
    """A recipe's loss, bound to the models. Raises UserError: layers that do not exist or cannot
    be compared, or a teacher whose layers cannot be seen."""
    bound: BoundLoss = _BINDERS[type(loss)](loss, models)
    return bound


def _labels(loss: Labels, models: ModelPair) -> BoundLoss:
    if models.task == "multilabel":
        return BoundLoss(lambda b: b.labelled(losses.binary_labels(b.logits, b.target)))
    if models.task == "regression":
        return BoundLoss(lambda b: b.labelled(losses.squared(b.logits, b.target)))
    return BoundLoss(lambda b: b.labelled(losses.labels(b.logits, b.target, loss.smoothing)))


def _soft_targets(loss: SoftTargets, models: ModelPair) -> BoundLoss:
    if models.task == "multilabel":
        return BoundLoss(
            lambda b: b.trusted(losses.binary(b.logits, b.by_teacher(), loss.temperature))
        )
    if models.task == "regression":
        return BoundLoss(lambda b: b.trusted(losses.squared(b.logits, b.by_teacher())))
    return BoundLoss(
        lambda b: b.trusted(
            losses.soft_targets(b.logits, b.by_teacher(), loss.temperature, loss.standardize)
        )
    )


def _bounded(loss: Bounded, models: ModelPair) -> BoundLoss:
    return BoundLoss(
        lambda b: b.trusted(losses.bounded(b.logits, b.by_teacher(), b.target, loss.margin))
    )


def _decoupled(loss: Decoupled, models: ModelPair) -> BoundLoss:
    return BoundLoss(
        lambda b: b.trusted(
            losses.decoupled(
                b.logits, b.by_teacher(), b.target, loss.temperature, loss.alpha, loss.beta
            )
        )
    )


class _Hints(nn.Module):
    def __init__(self, pairs: list[tuple[str, str]], hints: list[features.Hint]) -> None:
        super().__init__()
        self._pairs, self.hints = pairs, nn.ModuleList(hints)

    def forward(self, batch: Batch) -> Tensor:
        each = [
            hint(batch.student_sees[own], batch.teacher_sees[other])
            for hint, (own, other) in zip(self.hints, self._pairs, strict=True)
        ]
        return batch.trusted(torch.stack(each).mean(0))


def _hints(loss: Hints, models: ModelPair) -> BoundLoss:
    pairs, own, other = _pairs(loss, models)
    made = [features.Hint(own[a], other[b]) for a, b in pairs]
    return BoundLoss(_Hints(pairs, made), *_layers(pairs))


def _attention(loss: Attention, models: ModelPair) -> BoundLoss:
    pairs, _, _ = _pairs(loss, models)

    def term(batch: Batch) -> Tensor:
        each = [
            features.attention(batch.student_sees[own], batch.teacher_sees[other])
            for own, other in pairs
        ]
        return batch.trusted(torch.stack(each).mean(0))

    return BoundLoss(term, *_layers(pairs))


def _pairs(
    loss: Hints | Attention, models: ModelPair
) -> tuple[list[tuple[str, str]], dict[str, torch.Size], dict[str, torch.Size]]:
    """The layers that a loss compares, and the shapes of all layers on either side."""
    own = shapes(models.student, models.example)
    other = shapes(models.teacher_module(loss), models.example)
    if loss.layers == "auto":
        return paired(own, other), own, other
    pairs = [(pair.student, pair.teacher) for pair in loss.layers]
    for a, b in pairs:
        features.check(a, own, "student")
        features.check(b, other, "teacher")
    return pairs, own, other


def _layers(pairs: list[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(own for own, _ in pairs), tuple(other for _, other in pairs)


def _relations(loss: Relations, models: ModelPair) -> BoundLoss:
    def term(own: Tensor, other: Tensor) -> Tensor:
        value = own.new_zeros(())
        if loss.distance:
            value = value + loss.distance * relations.distances(own, other)
        if loss.angle:
            value = value + loss.angle * relations.angles(own, other)
        return value

    return _between_samples(loss, models, term)


def _similarity(loss: Similarity, models: ModelPair) -> BoundLoss:
    return _between_samples(loss, models, relations.similarity)


def _between_samples(
    loss: Relations | Similarity, models: ModelPair, term: Callable[[Tensor, Tensor], Tensor]
) -> BoundLoss:
    """A term on the samples of a batch for which the teacher is trusted at all."""
    by_logits = loss.of == "logits"
    if not by_logits:
        models.teacher_module(loss)

    def on(batch: Batch) -> Tensor:
        own = batch.logits if by_logits else batch.student_sees[EMBEDDING]
        other = batch.by_teacher() if by_logits else batch.teacher_sees[EMBEDDING]
        if batch.trust is not None:
            own, other = own[batch.trust > 0], other[batch.trust > 0]
        # Fewer than three samples span no angle.
        return term(own, other) if len(own) > 2 else own.new_zeros(())

    layers = () if by_logits else (EMBEDDING,)
    return BoundLoss(on, layers, layers)


class _Exits(nn.Module):
    """A classifier on each of the student's shallower layers."""

    def __init__(self, loss: Exits, names: tuple[str, ...], found: Any, last: str, classes: int):
        super().__init__()
        self._loss, self._names, self._last = loss, names, last
        width = features.channels(found[last])
        self.bridges = nn.ModuleList(_bridge(features.channels(found[n]), width) for n in names)
        self.heads = nn.ModuleList(nn.Linear(width, classes) for _ in names)

    def forward(self, batch: Batch) -> Tensor:
        loss, value = self._loss, batch.logits.new_zeros(())
        deepest = features.as_map(batch.student_sees[self._last]).detach()
        goal = F.adaptive_avg_pool2d(deepest, 1).flatten(1)
        for name, bridge, head in zip(self._names, self.bridges, self.heads, strict=True):
            reached = bridge(features.as_map(batch.student_sees[name])).flatten(1)
            logits = head(reached)
            imitated = losses.soft_targets(logits, batch.logits.detach(), loss.temperature)
            labelled = losses.labels(logits, batch.target)
            value = value + (
                loss.imitation * batch.kept(imitated)
                + (1 - loss.imitation) * batch.kept(labelled)
                + loss.features * batch.kept((reached - goal).square().sum(1))
            )
        return value / len(self._names)


def _bridge(inputs: int, outputs: int) -> nn.Module:
    """From a shallow map to what the last features look like once averaged."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
    )  # fmt: skip


def _exits(loss: Exits, models: ModelPair) -> BoundLoss:
    found = shapes(models.student, models.example)
    *shallow, last = ends(found) or [""]
    names = tuple(shallow) if loss.layers == "auto" else loss.layers
    if not names or not last:
        raise UserError(
            "the student has no two layers of different resolution to put exits on",
            "name them: `layers: [...]` of the loss `exits`",
        )
    for name in names:
        features.check(name, found, "student")
    classes = int(_classes(models))
    return BoundLoss(_Exits(loss, names, found, last, classes), (*names, last))


def _classes(models: ModelPair) -> int:
    training = models.student.training
    with torch.no_grad():
        classes = models.student.eval()(models.example).shape[1]
    models.student.train(training)
    return int(classes)


def _peers(loss: Peers, models: ModelPair) -> BoundLoss:
    def term(batch: Batch) -> Tensor:
        each = [losses.soft_targets(batch.logits, p, loss.temperature) for p in batch.peers]
        return batch.kept(torch.stack(each).mean(0))

    return BoundLoss(term)


_BINDERS: dict[type, Callable[[Any, ModelPair], BoundLoss]] = {
    Labels: _labels,
    SoftTargets: _soft_targets,
    Decoupled: _decoupled,
    Bounded: _bounded,
    Hints: _hints,
    Attention: _attention,
    Relations: _relations,
    Similarity: _similarity,
    Exits: _exits,
    Peers: _peers,
}
