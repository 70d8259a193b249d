"""What the loss `exits` has to learn itself, and its sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from edgedistill.losses import features
from edgedistill.tasks.classification import cross_entropy, soft_targets

if TYPE_CHECKING:
    from edgedistill.losses.base import Batch, Shapes
    from edgedistill.losses.exits import Exits


class ExitHeads(nn.Module):
    """A classifier on each of the student's shallower layers."""

    def __init__(
        self, loss: Exits, names: tuple[str, ...], found: Shapes, last: str, classes: int
    ) -> None:
        """found: the shapes of the student's layers; last: the deepest."""
        super().__init__()
        self._loss, self._names, self._last = loss, names, last
        width = features.channels(found[last])
        self.bridges = nn.ModuleList(_bridge(features.channels(found[n]), width) for n in names)
        self.heads = nn.ModuleList(nn.Linear(width, classes) for _ in names)

    def forward(self, batch: Batch) -> Tensor:
        """The mean over the exits, a scalar."""
        loss, value = self._loss, batch.logits.new_zeros(())
        deepest = features.as_map(batch.student_sees[self._last]).detach()
        goal = F.adaptive_avg_pool2d(deepest, 1).flatten(1)
        for name, bridge, head in zip(self._names, self.bridges, self.heads, strict=True):
            reached = bridge(features.as_map(batch.student_sees[name])).flatten(1)
            logits = head(reached)
            imitated = soft_targets(logits, batch.logits.detach(), loss.temperature)
            labelled = cross_entropy(logits, batch.target)
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
