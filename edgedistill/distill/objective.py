"""A recipe's losses for one student, or for several that train together: batch in, one number to go
down out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgedistill.distill.bfloat16 import products_in_bf16
from edgedistill.distill.feature_hooks import FeatureHooks, named, shapes
from edgedistill.errors import UserError
from edgedistill.losses.base import Batch
from edgedistill.models.fused import fused
from edgedistill.models.programs import judged
from edgedistill.recipe import Loss
from edgedistill.tasks import TASKS, Head, Task

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Models:
    """The models that losses are bound to, and one sample as each takes it."""

    student: nn.Module
    teacher: nn.Module | None
    example: Tensors
    shown: Tensors
    """To the teacher."""
    task: Task = TASKS["classification"]

    def outputs(self) -> int:
        """Of the student, for a sample: a run on `example` tells. The student's mode stays."""
        training = self.student.training
        with torch.no_grad():
            outputs = judged(self.student, self.student.eval()(*self.example)).shape[1]
        self.student.train(training)
        return int(outputs)

    def student_shapes(self) -> dict[str, torch.Size]:
        """Output shape of each of the student's layers, in the order in which they finish."""
        return shapes(self.student, self.example)

    def teacher_shapes(self) -> dict[str, torch.Size]:
        """The same of the teacher's."""
        assert self.teacher is not None, "layers of a teacher that was not checked"
        return shapes(self.teacher, self.shown)

    def check_layers(self, kind: str) -> None:
        """Raises UserError: the teacher is no torch model, so it has no layers to compare."""
        if self.teacher is None:
            raise UserError(
                f"the loss `{kind}` compares inner layers, and this teacher has none to show",
                "take a teacher that is a torch model, or losses on the logits",
            )


class Objective(nn.Module):
    """The weighted sum of the losses for one student; whatever they have to learn themselves
    (projections, exits) is among its parameters, beside the student's.

    Called with the student's inputs in order, such as pixels (batch, channels, height, width),
    target (batch,) or (batch, values), the teacher's logits (batch, classes) or None, how far to
    use them (batch,) or None, and what the teacher is shown where that is something else. The
    teacher, where one runs along, is neither trained nor saved.
    """

    _trust: Tensor
    _emphasis: Tensor

    def __init__(
        self,
        wanted: Sequence[Loss],
        student: nn.Module,
        teacher: nn.Module | None,
        example: Tensors,
        bf16: bool = False,
        weighed: float = 1.0,
        task: Task = TASKS["classification"],
        head: Head | None = None,
        shown: Tensors | None = None,
    ) -> None:
        """example: the student's inputs for one sample; weighed: how far the teacher counts where
        its answer is `LabelUse.WEIGH`; head: turns the outputs of both sides into logits; shown:
        the teacher's inputs, where they are others."""
        super().__init__()
        self.student = student
        self._bf16, self._head = bf16, head
        self._weights = [loss.weight for loss in wanted if loss.weight > 0]
        by_label = sum(loss.weight for loss in wanted if loss.learns_from == "labels")
        by_answer = sum(loss.weight for loss in wanted if loss.learns_from == "answers")
        # Where the label stands in for the teacher's answer, it gets the answer's weight too.
        alone = (by_label + by_answer) / by_label if by_label else 0.0
        # By `LabelUse`.
        self.register_buffer("_trust", torch.tensor([1.0, weighed, 0.0, 0.0]), persistent=False)
        self.register_buffer("_emphasis", torch.tensor([1.0, 1.0, alone, 0.0]), persistent=False)
        shown = shown or example
        models = Models(student, teacher, example, shown, task)
        self._bound = [loss.bind(models) for loss in wanted if loss.weight > 0]
        self.learned = nn.ModuleList(
            bound.term for bound in self._bound if isinstance(bound.term, nn.Module)
        )
        own = [name for bound in self._bound for name in bound.student_layers]
        self._own = FeatureHooks().on(student, own, "student", example)
        # In a tuple, so that the teacher is no part of this module.
        self._teacher: tuple[nn.Module, FeatureHooks] | None = None
        layers = [name for bound in self._bound for name in bound.teacher_layers]
        if teacher is not None and layers:
            there = named(teacher)
            quick = fused(teacher, [there[name] for name in layers if name in there])
            self._teacher = (quick, FeatureHooks().on(quick, layers, "teacher", shown))

    def _apply(self, change: Any, recurse: bool = True) -> Objective:
        """`to` and its like take the teacher along."""
        if self._teacher is not None:
            self._teacher[0]._apply(change, recurse)  # type: ignore[no-untyped-call]
        super()._apply(change, recurse)  # type: ignore[no-untyped-call]
        return self

    def forward(
        self,
        inputs: Tensors,
        target: Tensor,
        teacher: Tensor | None,
        label_uses: Tensor | None = None,
        shown: Tensors | None = None,
    ) -> Tensor:
        """The weighted sum, a scalar, as the class says: `answer`, then `judge`."""
        return self.judge(self.answer(inputs, shown), target, teacher, label_uses)

    def answer(self, inputs: Tensors, shown: Tensors | None = None) -> Tensor:
        """The student's logits (batch, classes), float32; its layers, and the teacher's, are seen
        on the way."""
        with products_in_bf16(inputs[0].device.type, self._bf16):
            logits = judged(self.student, self.student(*inputs))
            if self._teacher is not None:
                with torch.no_grad():
                    self._teacher[0](*(shown or inputs))
        return logits.float() if self._head is None else self._head(logits.float())

    def judge(
        self,
        logits: Tensor,
        target: Tensor,
        teacher: Tensor | None,
        label_uses: Tensor | None = None,
        peers: Sequence[Tensor] = (),
    ) -> Tensor:
        """The weighted sum, a scalar, of the batch that was answered last.

        logits: as `answer` gives them; the rest: as this is called with; peers: others' logits,
        (batch, classes) each.
        """
        if teacher is not None and self._head is not None:
            teacher = self._head(teacher)
        trust = None if label_uses is None else self._trust[label_uses]
        emphasis = None if label_uses is None else self._emphasis[label_uses]
        seen = Batch(
            logits, target, teacher, trust, emphasis, _floats(self._own),
            _floats(self._teacher[1]) if self._teacher else {}, peers,
        )  # fmt: skip
        value = logits.new_zeros(())
        for weight, bound in zip(self._weights, self._bound, strict=True):
            value = value + weight * bound.term(seen)
        return value

    def close(self) -> None:
        """Stop listening to the models' layers."""
        self._own.close()
        if self._teacher is not None:
            self._teacher[1].close()


class Cohort(nn.Module):
    """Students that train together, each with its own objective and the others' answers (Zhang et
    al. 2018, "Deep Mutual Learning", in one step for all)."""

    def __init__(self, members: Sequence[Objective]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(
        self,
        inputs: Tensors,
        target: Tensor,
        teacher: Tensor | None,
        label_uses: Tensor | None = None,
        shown: Tensors | None = None,
    ) -> Tensor:
        """The sum of the members' objectives, a scalar; takes what `Objective` takes. To each
        member the others' answers are constants."""
        members: list[Any] = list(self.members)
        answers = [member.answer(inputs, shown) for member in members]
        value: Tensor = answers[0].new_zeros(())
        for i, member in enumerate(members):
            others = [other.detach() for j, other in enumerate(answers) if j != i]
            value = value + member.judge(answers[i], target, teacher, label_uses, others)
        return value

    def close(self) -> None:
        """Take each member's hooks off its models."""
        for member in self.members:
            member.close()  # type: ignore[operator]


def _floats(feature_hooks: FeatureHooks) -> dict[str, Tensor]:
    return {name: value.float() for name, value in feature_hooks.seen.items()}
