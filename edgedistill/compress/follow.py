"""A model's other programs in integers, as its `main` is: what both compute is rounded alike."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from edgedistill.compress.fake_quantize import ActivationFakeQuantize
from edgedistill.compress.groups import Scale, maker
from edgedistill.compress.quantize import Batch, calibrate, convert, prepare, present
from edgedistill.compress.streams import fed
from edgedistill.program import MAIN, Program, export, graph_of, origin

if TYPE_CHECKING:
    from torch.fx import GraphModule

    from edgedistill.target import Scheme

_QUANTIZE = "quantized_decomposed.quantize_per_tensor."


def follow(
    program: Program,
    main: Program,
    scheme: Scheme,
    feed: Callable[[Program], Iterable[Batch]],
    keep_float: tuple[str, ...] = (),
) -> Program:
    """Quantize a folded program with the weights, biases and scales of the quantized `main` of the
    same model, so that both answer alike.

    A scale is taken over where both programs have an operator as often in the same module: a layer
    that `main` repeats for each piece of its input has no one scale to give. What is left is
    observed on what `feed` gives for the program with these weights: its own inputs in their order,
    states included, (batch, ...) each.
    """
    weighted = _with_weights(program, main)
    prepared = prepare(weighted, scheme, keep_float, _scales(main, program))
    if prepared.roundings(ActivationFakeQuantize):
        calibrate(prepared, feed(weighted))
    return convert(prepared)


def follow_all(
    folded: Mapping[str, Program],
    main: Program,
    scheme: Scheme,
    batches: Callable[[], Iterable[Batch]],
    keep_float: tuple[str, ...] = (),
) -> dict[str, Program]:
    """A student's programs beside `main`, in integers as the quantized `main` is. batches: gives
    what `main` takes."""

    def feed(name: str) -> Callable[[Program], Iterable[Batch]]:
        return lambda program: fed(program, name, batches())

    return {
        name: follow(each, main, scheme, feed(name), present(each, keep_float))
        for name, each in folded.items()
        if name != MAIN
    }


def _with_weights(program: Program, main: Program) -> Program:
    """The program with what `main` has learned, and its biases on the grid of its integers."""
    graph, learned = copy.deepcopy(graph_of(program)), dict(graph_of(main).named_parameters())
    with torch.no_grad():
        for name, weight in graph.named_parameters():
            if name in learned and learned[name].shape == weight.shape:
                weight.copy_(learned[name])
    return export(graph, program.signature)


def _scales(main: Program, program: Program) -> dict[str, Scale]:
    """The scales of `main` by what computes the tensor in both."""
    graph = graph_of(main)
    here, there = (_counted(each) for each in (graph_of(program), graph))
    found: dict[str, Scale] = {}
    for node in graph.graph.nodes:
        if str(node.target).startswith(_QUANTIZE):
            source: Any = node.args[0]
            made = maker(source)
            kind = made.rpartition("/")[0]
            if made and here[kind] == there[kind]:
                found[made] = float(node.args[1]), int(node.args[2])
    return found


def _counted(graph: GraphModule) -> Counter[str]:
    """How often each module has an operator."""
    return Counter((origin(node) or "").rpartition("/")[0] for node in graph.graph.nodes)
