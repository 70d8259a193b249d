"""What a loss is: what a recipe says of it, and how it becomes a term of the sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from edgedistill.fields import Weight
from edgedistill.target import Frozen
from edgedistill.tasks import Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Shapes = dict[str, torch.Size]

EMBEDDING = "(embedding)"
"""The name under which the input of the layer that gives the answer is seen; of maps, their mean
over height and width."""
Stage = Literal["teacher", "distill", "prune", "quantize"]


@dataclass
class Batch:
    """What the losses of one batch look at.

    logits, teacher: (batch, classes), float32; target: (batch,), or (batch, values), or where
    samples are mixed labels' shares (batch, classes); trust and
    emphasis: (batch,), how far the teacher and the label count for each sample, 1 where they are
    None; student_sees, teacher_sees: the layers' outputs, by name.
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
        """The teacher's outputs, (batch, classes)."""
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


Term = Callable[[Batch], "Tensor"]
"""A scalar of a batch; a torch module where it has something to learn itself."""


class ModelPair(Protocol):
    """The models that a loss is bound to."""

    @property
    def task(self) -> Task:
        """The task that they answer."""

    def outputs(self) -> int:
        """Of the student, for a sample."""

    def student_shapes(self) -> Shapes:
        """Output shape of each of the student's layers, in the order in which they finish."""

    def teacher_shapes(self) -> Shapes:
        """The same of the teacher's."""

    def check_layers(self, kind: str) -> None:
        """Raises UserError: the teacher has no layers to show to a loss of this kind."""


@dataclass(frozen=True)
class BoundLoss:
    """A loss ready to be computed, and the layers it must see."""

    term: Term
    student_layers: tuple[str, ...] = ()
    teacher_layers: tuple[str, ...] = ()


class LossCommon(Frozen):
    """What every loss has."""

    weight: Weight = 1.0
    """Share in the sum. A loss of weight 0 is not computed."""

    if TYPE_CHECKING:  # each loss has its own
        kind: str

    stages: ClassVar[frozenset[Stage]] = frozenset({"distill"})
    """Where it may stand in a recipe."""
    learns_from: ClassVar[Literal["labels", "answers"] | None] = None
    """For the two between which the weight is parted. A label that stands in for a doubtful
    answer takes the weight of the answers' losses too."""

    takes_mixed: ClassVar[bool] = True
    """Whether it goes with samples of two labels."""

    @property
    def reads_answers(self) -> bool:
        """Whether it compares with the teacher's outputs."""
        return False

    @property
    def reads_layers(self) -> bool:
        """Whether it looks into the teacher while that runs."""
        return False

    @property
    def option(self) -> str:
        """What of it only tasks know that have it in `Task.loss_options`; empty for nothing."""
        return ""

    def bind(self, models: ModelPair) -> BoundLoss:
        """The loss, ready to be computed. Raises UserError: layers that do not exist or cannot be
        compared, or a teacher whose layers cannot be seen."""
        raise NotImplementedError
