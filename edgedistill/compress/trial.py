"""A model without some of its channels, for a while: what is cut on trial is put back."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from edgedistill.compress.candidates import Candidate
from edgedistill.errors import in_short, out_of_resources
from edgedistill.models.pruned import Step, steps

if TYPE_CHECKING:
    from types import TracebackType

    from torch import Tensor, nn

_ALIKE = 1e-3
"""Largest difference of an answer, as a share of the largest, that rounding may make."""


class Trial:
    """Whatever is cut from `model` by means of its dependency `graph` within is put back at the
    end, unless it is kept.

    torch-pruning gives a layer new tensors and leaves the old ones as they are. So what is noted
    are references to tensors and what layers and graph know of widths: no weight is copied.
    """

    def __init__(self, model: nn.Module, graph: Any) -> None:
        from torch import nn

        nodes = list(graph.module2node.values())
        operators = [node.module for node in nodes if isinstance(node.module, nn.Module)]
        dependencies = [each for node in nodes for each in node.dependencies]
        owners = [graph, *model.modules(), *operators, *nodes, *dependencies]
        self._noted = [_Attributes(each) for each in {id(each): each for each in owners}.values()]

    def keep(self) -> None:
        """Let the model stay as it was cut."""
        self._noted.clear()

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in self._noted:
            each.restore()


class _Attributes:
    """An object's attributes, and the items of its lists and dictionaries."""

    def __init__(self, owner: Any) -> None:
        self._owner, self._values = owner, dict(vars(owner))
        self._items: list[tuple[Any, Any]] = [
            (value, copy.copy(value))
            for value in self._values.values()
            if isinstance(value, list | dict)
        ]

    def restore(self) -> None:
        """In the same containers: handles of hooks know them."""
        vars(self._owner).clear()
        vars(self._owner).update(self._values)
        for container, items in self._items:
            container.clear()
            (container.extend if isinstance(container, list) else container.update)(items)


def cut(model: nn.Module, graph: Any, chosen: dict[str, list[int]]) -> list[Step]:
    """Remove these channels, by the layer that gives them, from `model`, in place, by means of its
    dependency `graph`. Raises whatever torch-pruning raises."""
    import torch

    with torch.no_grad():
        for root, channels in chosen.items():
            _group(model, graph, root, channels).prune()
    return steps(graph.pruning_history())


def _group(model: nn.Module, graph: Any, root: str, channels: list[int]) -> Any:
    layer = model.get_submodule(root)
    handler = graph.get_pruner_of_module(layer).prune_out_channels
    return graph.get_pruning_group(layer, handler, sorted(channels))


def that_can_go(
    model: nn.Module,
    graph: Any,
    example: Tensor,
    found: list[Candidate],
    whole: dict[str, str],
) -> list[Candidate]:
    """The candidates without whose first block the model is what it was; the others go into
    `whole`, with the reason.

    A shortcut that pads with a fixed number of zeros, say, or a shuffle ties channels in a way that
    the dependency graph does not see.
    """
    check = _Check(model, graph, example)
    kept: list[Candidate] = []
    parts = [[each for each in found if each.blocks]]
    while parts:
        part = parts.pop()
        reason = check.fails_without([*kept, *part])
        if reason is None:
            kept += part
        elif len(part) > 1:
            parts += [part[len(part) // 2 :], part[: len(part) // 2]]
        else:
            whole[part[0].root] = reason
    return kept


class _Check:
    """Whether a model without some channels answers as with their weights at zero."""

    def __init__(self, model: nn.Module, graph: Any, example: Tensor) -> None:
        import torch

        self._model, self._graph = model, graph
        self._input = torch.rand(example.shape, generator=torch.Generator().manual_seed(0))
        self._known: dict[str, list[tuple[Any, list[int]]] | None] = {}

    def fails_without(self, found: list[Candidate]) -> str | None:
        """What is wrong with the model when it lost the first block of each; none: nothing is."""
        chosen = {each.root: each.blocks[0].channels for each in found}
        try:
            readers = {root: self._readers(root, channels) for root, channels in chosen.items()}
            exact = {root: chosen[root] for root in chosen if readers[root] is not None}
            answers = self._without(exact)
            wanted = self._unused([each for some in readers.values() for each in some or ()])
            if answers.shape != wanted.shape:
                return "torch-pruning cuts the model's answers with it"
            if float((wanted - answers).abs().max()) > _ALIKE * float(wanted.abs().max()):
                return "torch-pruning loses track of where its channels go"
            if len(exact) < len(chosen):
                self._without(chosen)
        except Exception as error:  # torch-pruning's own mistakes are of any kind
            if out_of_resources(error) is not None:
                raise
            return f"the model does not run with fewer: {in_short(error)}"
        return None

    def _readers(self, root: str, channels: list[int]) -> list[tuple[Any, list[int]]] | None:
        """The layers that read these channels, and which of their inputs those are.

        None where the channels are normalized with others, or attend by them: without them, the
        rest is another.
        """
        if root not in self._known:
            self._known[root] = _readers(_group(self._model, self._graph, root, channels))
        return self._known[root]

    def _without(self, chosen: dict[str, list[int]]) -> Tensor:
        """What the model answers without these channels."""
        import torch

        with Trial(self._model, self._graph), torch.no_grad():
            cut(self._model, self._graph, chosen)
            answers: Tensor = self._model.eval()(self._input)
        return answers

    def _unused(self, readers: list[tuple[Any, list[int]]]) -> Tensor:
        """What the model answers with the weights that read these channels at zero: if they can go
        at all, it answers as the model without them does."""
        import torch

        read = {id(weight): weight for layer, _ in readers for weight in layer.parameters()}
        kept = [(weight, weight.detach().clone()) for weight in read.values()]
        with torch.no_grad():
            try:
                for layer, channels in readers:
                    _forget(layer, channels)
                wanted: Tensor = self._model.eval()(self._input)
            finally:
                for weight, values in kept:
                    weight.copy_(values)
        return wanted


def _readers(group: Any) -> list[tuple[Any, list[int]]] | None:
    from torch import nn

    together = (nn.LayerNorm, nn.GroupNorm, nn.MultiheadAttention)
    if any(isinstance(dep.target.module, together) for dep, _ in group):
        return None
    return [
        (dep.target.module, channels)
        for dep, channels in group
        if dep.handler.__name__ == "prune_in_channels"
    ]


def _forget(layer: Any, channels: list[int]) -> None:
    """Set to zero the weights by which a layer reads these channels."""
    if getattr(layer, "transposed", False):
        layer.weight[channels] = 0
        return
    per_group = getattr(layer, "in_channels", 0) // getattr(layer, "groups", 1)
    places = sorted({at % per_group for at in channels}) if per_group else channels
    for name, weight in layer.named_parameters():
        if name == "weight" or name == "weight_ih" or name.startswith("weight_ih_l0"):
            weight[:, places] = 0
