"""What students compute that are like one, but for a width, the images' size, or a setting."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgedistill.compress.candidates import Candidate, candidates
from edgedistill.compress.cost import Layer
from edgedistill.compress.trial import that_can_go
from edgedistill.errors import UserError, out_of_resources
from edgedistill.families.models import ResidualModel
from edgedistill.families.sound import DepthwiseModel
from edgedistill.models import build
from edgedistill.models.making import without_weights
from edgedistill.models.pruned import dependency_graph, understanding
from edgedistill.models.steps import Work, works
from edgedistill.models.work import Product
from edgedistill.recipe import Model
from edgedistill.records import DataRecord
from edgedistill.signature import blank

if TYPE_CHECKING:
    from torch import Tensor, nn

_SIDES = (0.875, 0.75, 0.625, 0.5)
"""Of smaller images, as shares of today's."""
_SIDE_STEP = 4
_WIDER = 1.5
"""Times as many channels in a wider student."""
_WIDTH_STEP = 8


def groups(
    model: nn.Module, example: Tensor, now: Sequence[Work]
) -> tuple[list[Candidate], dict[str, Layer]]:
    """Channels that stand and fall together and can be other in number, and the layers that they
    are in, by name; nothing of a model that torch-pruning does not understand. `now`: what one
    inference computes."""
    import torch

    def alike(group: Any) -> Tensor:
        return torch.zeros(len(group[0].idxs))

    try:
        with understanding():
            graph: Any = dependency_graph(model, example)
            found, layers, whole = candidates(model, graph, now, alike, 1)
            return that_can_go(model, graph, example, found, whole), layers
    except UserError:
        return [], {}


class Changed:
    """What an inference computes, and would with other numbers of channels."""

    def __init__(
        self, now: Sequence[Work], found: Sequence[Candidate], layers: Mapping[str, Layer]
    ) -> None:
        self._now, self._layers = now, layers
        self._groups = {each.root: each for each in found}

    def to(self, widths: Mapping[str, int]) -> list[Work]:
        """With so many channels of the groups with these roots."""
        sides: dict[str, list[int]] = {}
        for root, width in widths.items():
            group = self._groups[root]
            for touch in group.touches:
                both = sides.setdefault(touch.layer, list(self._layers[touch.layer].whole))
                both[0 if touch.on_output else 1] += round((width - group.width) * touch.ratio)
        gone = {id(call) for name in sides for call in self._layers[name].calls}
        kept = [each for each in self._now if id(each) not in gone]
        return kept + [
            call for name, (outputs, inputs) in sides.items()
            for call in self._layers[name].calls_with(outputs, inputs)
        ]  # fmt: skip


def at_sizes(model: nn.Module, data: DataRecord) -> Iterator[tuple[tuple[int, int], list[Work]]]:
    """What the model computes of smaller images, by their (height, width); nothing where it takes
    none, or no images."""
    if data.pictures is None:
        return
    now, seen = data.pictures.size, set()
    for share in _SIDES:
        size = (_side(now[0], share), _side(now[1], share))
        if size in seen or size == now or min(size) < 2 * _SIDE_STEP:
            continue
        seen.add(size)
        try:
            yield size, works(model, *blank(data.inputs_at(size)))
        except Exception as error:  # of a network with layers for one size alone
            if out_of_resources(error) is not None:
                raise
            return


def _side(now: int, share: float) -> int:
    return round(now * share / _SIDE_STEP) * _SIDE_STEP


def students(student: Model, data: DataRecord) -> Iterator[tuple[str, list[Work]]]:
    """What the recipe's student computes before anything is cut, under "", and what others would,
    each under what a recipe sets for it; nothing of families whose width is no setting."""
    changes = _changes(student)
    if not changes:
        return
    for key, update in [("", {}), *changes]:
        module = _untrained(student.model_copy(update=update), data)
        yield key, works(module, *blank(data.inputs))


def shortcuts(student: Model, data: DataRecord) -> list[Work]:
    """The products of 1x1 convolutions as shortcuts, where a student pads instead; else nothing."""
    if not isinstance(student, ResidualModel) or student.shortcut == "conv":
        return []
    module = _untrained(student.model_copy(update={"shortcut": "conv"}), data)
    found = works(module, *blank(data.inputs))
    return [each for each in found if isinstance(each, Product) and ".shortcut." in each.weight]


def least(student: Model, data: DataRecord, block: int) -> list[Work]:
    """What is left of the recipe's student where pruning in whole blocks takes all that it can."""
    model, (example,) = _untrained(student, data), blank(data.inputs)
    now = works(model, example)
    found, layers = groups(model, example, now)
    return Changed(now, found, layers).to({each.root: min(block, each.width) for each in found})


def _untrained(student: Model, data: DataRecord) -> nn.Module:
    other = without_weights(student).model_copy(update={"weights": None})
    return build(other, len(data.classes), data.inputs).eval()


def _changes(student: Model) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(student, ResidualModel):
        widths = tuple(map(_wider, student.widths))
        return [(f"student.widths={list(widths)}", {"widths": widths})]
    if isinstance(student, DepthwiseModel):
        width = _wider(student.width)
        return [(f"student.width={width}", {"width": width})]
    return []


def _wider(width: int) -> int:
    return math.ceil(_WIDER * width / _WIDTH_STEP) * _WIDTH_STEP
