"""What can be cut from a model: groups of channels that stand and fall together, in blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from typing import TYPE_CHECKING, Any

from edgedistill.compress.cost import Layer, layer_of
from edgedistill.errors import UserError, in_short, out_of_resources
from edgedistill.models.pruned import fixed_width
from edgedistill.models.recurrent import recurrent
from edgedistill.models.steps import Work

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
    width: int
    """Channels that the root has."""


class _Whole(Exception):
    """Why a layer keeps all its channels."""


def candidates(
    model: nn.Module,
    graph: Any,
    calls: Sequence[Work],
    score: Callable[[Any], Tensor | None],
    round_to: int,
) -> tuple[list[Candidate], dict[str, Layer], dict[str, str]]:
    """What might go by the model's dependency `graph`, the layers that it touches by their names,
    and the layers that stay whole, with the reason. `calls`: what one inference computes."""
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
        found.append(Candidate(root, blocks, touches, len(group[0].idxs)))
        for dep, _ in group:
            name = _named(graph, dep)
            if name and name not in layers and graph.get_out_channels(dep.target):
                sides = _sides(graph, dep.target)
                layers[name] = layer_of(dep.target.module, name, calls, sides)
    return found, layers, whole


def sizes(layers: Mapping[str, Layer], found: Sequence[Candidate]) -> Iterator[Work]:
    """All that these layers may compute while candidates are cut, each by itself or two at once."""
    sides: dict[tuple[str, bool], set[int]] = {}
    for each in found:
        gone = [0, *accumulate(len(block.channels) for block in each.blocks)]
        for touch in each.touches:
            whole = layers[touch.layer].whole[0 if touch.on_output else 1]
            widths = {whole - round(count * touch.ratio) for count in gone}
            sides.setdefault((touch.layer, touch.on_output), set()).update(widths)
    for name, layer in layers.items():
        outputs = sides.get((name, True), {layer.whole[0]})
        inputs = sides.get((name, False), {layer.whole[1]})
        for pair in product(outputs, {layer.whole[1]} if layer.tied else inputs):
            yield from layer.calls_with(*pair)


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
