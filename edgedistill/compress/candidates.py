"""What can be cut from a model: groups of channels that stand and fall together, in blocks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from edgedistill.compress.cost import Layer, layer_of
from edgedistill.errors import UserError, in_short, out_of_resources
from edgedistill.models.pruned import Step, dependency_graph, fixed_width, steps
from edgedistill.models.recurrent import recurrent
from edgedistill.models.work import products
from edgedistill.target import Kernel

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Touch:
    """A layer that loses channels together with a group's root."""

    layer: str
    on_output: bool
    ratio: float
    """Channels it loses for each one that the root loses."""


@dataclass(frozen=True)
class Block:
    """Channels that would go together, and what they are worth."""

    channels: list[int]
    importance: float


@dataclass(frozen=True)
class Candidate:
    """Channels that one layer, the root, gives; by their importance from the least up."""

    root: str
    blocks: list[Block]
    touches: list[Touch]


_ALIKE = 1e-3
"""Largest difference of an answer, as a share of the largest, that rounding may make."""


class _Whole(Exception):
    """Why a layer keeps all its channels."""


def candidates(
    model: nn.Module,
    example: Tensor,
    score: Callable[[Any], Tensor | None],
    round_to: int,
    kernel: Kernel | None,
) -> tuple[list[Candidate], dict[str, Layer], dict[str, str]]:
    """What can go, the layers that it touches by their names, and the layers that stay whole, with
    the reason."""
    graph: Any = dependency_graph(model, example)
    calls = products(model, example)
    found: list[Candidate] = []
    whole: dict[str, str] = {}
    layers: dict[str, Layer] = {}
    for root, group in _groups(graph, _kept(model), whole):
        try:
            blocks = _blocks(graph, group, score, round_to)
            touches = [_touch(graph, dep, len(idxs) / len(group[0].idxs)) for dep, idxs in group
                       if _named(graph, dep) and graph.get_out_channels(dep.target)]  # fmt: skip
        except Exception as error:
            whole[root] = _reason(error)
            continue
        found.append(Candidate(root, blocks, touches))
        for dep, _ in group:
            name = _named(graph, dep)
            if name and name not in layers and graph.get_out_channels(dep.target):
                sides = _sides(graph, dep.target)
                layers[name] = layer_of(dep.target.module, name, calls, sides, kernel)
    return _that_can_go(model, example, found, whole), layers, whole


def _kept(model: nn.Module) -> dict[Any, str]:
    """Layers whose outputs must stay, and why."""
    return {
        **dict.fromkeys(fixed_width(model), "its width is tied"),
        **dict.fromkeys(recurrent(model), "what a recurrent layer gives stays"),
    }


def _reason(error: Exception) -> str:
    """Raises what no model is the reason of."""
    if isinstance(error, _Whole):
        return str(error)
    if isinstance(error, UserError | MemoryError) or out_of_resources(error) is not None:
        raise error
    return f"torch-pruning does not understand it: {in_short(error)}"


def _groups(graph: Any, kept: dict[Any, str], whole: dict[str, str]) -> Any:
    """(name of the root, group) for all coupled channels, as torch-pruning's `get_all_groups`, save
    that a layer that it does not understand is left alone."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    seen: set[Any] = set()
    for module in [each for each in graph.module2node if isinstance(each, _ConvNd | nn.Linear)]:
        if module in seen:
            continue
        name = graph._module2name[module]
        try:
            pruner = graph.get_pruner_of_module(module)
            channels = list(range(pruner.get_out_channels(module)))
            group = graph.get_pruning_group(module, pruner.prune_out_channels, channels)
        except Exception as error:
            whole[name] = _reason(error)
            continue
        given = [dep.target for dep, _ in group if graph.is_out_channel_pruning_fn(dep.handler)]
        seen.update(node.module for node in given)
        reasons = [kept[node.module] for node in given if node.module in kept]
        if reasons:
            whole[name] = reasons[0]
        elif not any(_is_answer(graph, node) for node in given):
            yield name, group


def _is_answer(graph: Any, node: Any) -> bool:
    """Whether nothing comes after: what it gives is what the model answers."""
    return node.type == graph.ops.OPTYPE.OUTPUT or not node.outputs


def _blocks(
    graph: Any, group: Any, score: Callable[[Any], Tensor | None], round_to: int
) -> list[Block]:
    """Channels from the least important up, in blocks; the last `round_to` are never offered.

    Where the channels lie in groups of their own (a grouped convolution, a group norm, the heads of
    an attention), a block takes the same places of each, as torch-pruning can do.
    """
    scores = score(group)
    if scores is None:
        raise _Whole("it has no weights to be judged by")
    count, apart = len(scores), _channel_groups(graph, group)
    if count % apart:
        raise _Whole(f"its {count} channels are read in {apart} groups")
    places = count // apart
    step = math.lcm(round_to, apart) // apart
    order = scores.view(apart, places).sum(0).argsort().tolist()
    first = places % step or step
    bounds = [0, *range(first, places - step + 1, step)]
    if apart > 1 and len(bounds) == 1:
        raise _Whole(
            f"grouped, {apart} times {places} channels, of which none can go in multiples of "
            f"{round_to}"
        )
    whole = [[place + group * places for place in order[a:b] for group in range(apart)]
             for a, b in pairwise(bounds)]  # fmt: skip
    return [Block(channels, float(scores[channels].sum())) for channels in whole]


def _channel_groups(graph: Any, group: Any) -> int:
    """Into how many equal parts the channels of a group's root fall, wherever they are used."""
    from torch import nn

    found = 1
    for dep, idxs in group:
        module, pruner = dep.target.module, graph.get_pruner_of_module(dep.target.module)
        if getattr(module, "groups", 0) == getattr(module, "out_channels", 1):
            continue  # depthwise: each channel may go alone
        out = graph.is_out_channel_pruning_fn(dep.handler)
        parts = (pruner.get_out_channel_groups if out else pruner.get_in_channel_groups)(module)
        if isinstance(module, nn.MultiheadAttention):
            parts = module.num_heads
        channels = graph.get_out_channels(dep.target) if out else graph.get_in_channels(dep.target)
        if parts > 1 and (len(idxs) != channels or len(idxs) != len(group[0].idxs)):
            raise _Whole(f"`{graph._module2name[module]}` reads it with others in {parts} groups")
        found = math.lcm(found, parts)
    return found


def _named(graph: Any, dep: Any) -> str:
    """Name of the layer or parameter that a dependency cuts; none for an operator without."""
    name = graph._param_to_name.get(dep.target.module) or graph._module2name.get(dep.target.module)
    return name or ""


def _touch(graph: Any, dep: Any, ratio: float) -> Touch:
    return Touch(_named(graph, dep), dep.handler.__name__ == "prune_out_channels", ratio)


def _sides(graph: Any, node: Any) -> tuple[int, int, bool]:
    pruner = graph.get_pruner_of_module(node.module)
    tied = type(pruner).prune_in_channels is type(pruner).prune_out_channels
    return graph.get_out_channels(node), graph.get_in_channels(node), tied


def cut(model: nn.Module, example: Tensor, chosen: dict[str, list[int]]) -> list[Step]:
    """Remove these channels, by the layer that gives them, from `model`, in place. Raises whatever
    torch-pruning or a model that does not run without them raises."""
    import torch

    graph: Any = dependency_graph(model, example)
    with torch.no_grad():
        for root, channels in chosen.items():
            layer = model.get_submodule(root)
            handler = graph.get_pruner_of_module(layer).prune_out_channels
            graph.get_pruning_group(layer, handler, sorted(channels)).prune()
        model.eval()(example)
    return steps(graph.pruning_history())


def _that_can_go(
    model: nn.Module, example: Tensor, found: list[Candidate], whole: dict[str, str]
) -> list[Candidate]:
    """The candidates without whose first block the model is what it was; the others into `whole`.

    A shortcut that pads with a fixed number of zeros, say, or a shuffle ties channels in a way that
    the dependency graph does not see.
    """
    kept: list[Candidate] = []
    parts = [[each for each in found if each.blocks]]
    while parts:
        part = parts.pop()
        reason = _fails_without(model, example, [*kept, *part])
        if reason is None:
            kept += part
        elif len(part) > 1:
            parts += [part[len(part) // 2 :], part[: len(part) // 2]]
        else:
            whole[part[0].root] = reason
    return kept


def _fails_without(model: nn.Module, example: Tensor, found: list[Candidate]) -> str | None:
    """What is wrong with a copy of the model that lost the first block of each."""
    import torch

    chosen = {each.root: each.blocks[0].channels for each in found}
    pixels = torch.rand(example.shape, generator=torch.Generator().manual_seed(0))
    try:
        unused, exact = _without_using(copy.deepcopy(model), example, chosen)
        smaller = copy.deepcopy(model)
        cut(smaller, example, exact)
        with torch.no_grad():
            wanted, answers = unused(pixels), smaller(pixels)
        if answers.shape != wanted.shape:
            return "torch-pruning cuts the model's answers with it"
        if float((wanted - answers).abs().max()) > _ALIKE * float(wanted.abs().max()):
            return "torch-pruning loses track of where its channels go"
        if len(exact) < len(chosen):
            cut(copy.deepcopy(model), example, chosen)
    except Exception as error:  # torch-pruning's own mistakes are of any kind
        if out_of_resources(error) is not None:
            raise
        return f"the model does not run with fewer: {in_short(error)}"
    return None


def _without_using(
    model: nn.Module, example: Tensor, chosen: dict[str, list[int]]
) -> tuple[nn.Module, dict[str, list[int]]]:
    """The model, in place, with the weights that read these channels at zero, and those channels:
    if they can go at all, it answers as the model without them does.

    Left out are channels that are normalized with others, or attend by them: without them, the rest
    is another.
    """
    import torch
    from torch import nn

    together = (nn.LayerNorm, nn.GroupNorm, nn.MultiheadAttention)
    graph: Any = dependency_graph(model, example)
    exact = {}
    for root, channels in chosen.items():
        layer = model.get_submodule(root)
        handler = graph.get_pruner_of_module(layer).prune_out_channels
        group = list(graph.get_pruning_group(layer, handler, sorted(channels)))
        if any(isinstance(dep.target.module, together) for dep, _ in group):
            continue
        exact[root] = channels
        with torch.no_grad():
            for dep, read in group:
                if dep.handler.__name__ == "prune_in_channels":
                    _forget(dep.target.module, read)
    return model, exact


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
