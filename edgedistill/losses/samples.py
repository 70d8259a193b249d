"""What losses have in common that compare how the samples of a batch lie to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from edgedistill.losses.base import EMBEDDING, Batch, BoundLoss, LossCommon, ModelPair

if TYPE_CHECKING:
    from torch import Tensor


class RelationLoss(LossCommon):
    """A loss that compares how the student and the teacher arrange the samples of a batch."""

    of: Literal["embedding", "logits"] = "embedding"
    """What is compared: what enters the last linear layer, or the logits. Stored answers hold
    only the latter; for embeddings the teacher runs along."""

    stages = frozenset({"distill", "prune"})

    @property
    def reads_answers(self) -> bool:
        """Where logits are compared, which may be stored."""
        return self.of == "logits"

    @property
    def reads_layers(self) -> bool:
        """Where embeddings are compared: the teacher runs along."""
        return self.of == "embedding"

    def between(self, models: ModelPair, term: Callable[[Tensor, Tensor], Tensor]) -> BoundLoss:
        """`term` of both sides' outputs or embeddings (samples, values), a scalar, on the samples
        of a batch for which the teacher is trusted at all."""
        by_logits = self.of == "logits"
        if not by_logits:
            models.check_layers(self.kind)

        def on(batch: Batch) -> Tensor:
            own = batch.logits if by_logits else batch.student_sees[EMBEDDING]
            other = batch.by_teacher() if by_logits else batch.teacher_sees[EMBEDDING]
            if batch.trust is not None:
                own, other = own[batch.trust > 0], other[batch.trust > 0]
            # Fewer than three samples span no angle.
            return term(own, other) if len(own) > 2 else own.new_zeros(())

        layers = () if by_logits else (EMBEDDING,)
        return BoundLoss(on, layers, layers)
