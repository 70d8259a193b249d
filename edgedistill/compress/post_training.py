"""Quantization of a folded program without training."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch

from edgedistill.compress.operators import WEIGHTED, layer_name
from edgedistill.compress.quantize import Batch, Prepared, calibrate, convert, prepare
from edgedistill.compress.quantizer import SchemeQuantizer
from edgedistill.errors import in_short, out_of_resources
from edgedistill.program import Program, answers, graph_of, value

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

    from edgedistill.target import Scheme


def post_training(
    program: Program,
    scheme: Scheme,
    batches: Iterable[Batch],
    keep_float: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Program:
    """Quantize a folded program without training: ranges are the mean of the batches' extremes,
    biases are corrected by NNCF's fast bias correction (Nagel et al. 2019, section 4.2).

    The correction takes each layer's input for constant, which is wrong at padded borders; it is
    kept only where the answers to the batches come closer to the float program's. NNCF rounds
    weights to 8 bits: with a scheme of 7 the correction makes up for a part of the rounding. A
    graph that NNCF does not take is quantized without.

    batches: the inputs in their order, each (batch, ...); `say` gets a line on what was done.
    """
    samples = list(batches)
    plain = prepare(program, scheme, keep_float)
    calibrate(plain, samples)
    corrected = copy.deepcopy(plain)
    try:
        _correct_biases(
            corrected, program, SchemeQuantizer(scheme, keep_float, program.signature), samples
        )
    except Exception as error:  # NNCF knows fewer graphs than torch exports
        if out_of_resources(error) is not None:
            raise
        say(f"bias correction skipped: NNCF does not take this graph ({in_short(error)})")
        return convert(plain)
    before, after = (_distance(program, each, samples) for each in (plain, corrected))
    kept = "kept" if after < before else "undone"
    say(f"bias correction {kept}: the logits' error is {after:.4g} with it, {before:.4g} without")
    return convert(corrected if after < before else plain)


def _distance(program: Program, prepared: Prepared, samples: list[Batch]) -> float:
    """Root of the mean squared difference of the outputs."""
    graph = graph_of(program)
    with torch.no_grad():
        errors = [
            (found - wanted).flatten()
            for each in samples
            for found, wanted in zip(answers(prepared(*each)), answers(graph(*each)), strict=True)
        ]
    return float(torch.cat(errors).square().mean().sqrt())


def _correct_biases(
    prepared: Prepared, program: Program, quantizer: SchemeQuantizer, samples: list[Batch]
) -> None:
    import nncf
    from nncf.experimental.torch.fx import quantize_pt2e

    graph = copy.deepcopy(graph_of(program))
    # NNCF takes a symmetric weight without negative values for unsigned and clips it to nothing.
    positive = [layer_name(node) for node in graph.graph.nodes if _is_positive(graph, node)]
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        corrected = quantize_pt2e(
            graph,
            SchemeQuantizer(
                quantizer.scheme, (*quantizer.keep_float, *positive), quantizer.signature
            ),
            calibration_dataset=nncf.Dataset(
                samples, lambda each: each[0] if len(each) == 1 else each
            ),
            subset_size=len(samples),
            fast_bias_correction=True,
            fold_quantize=False,
        )
    found = {node.name: node.args[2:3] for node in corrected.graph.nodes if _weighted(node)}
    for node in prepared.graph.graph.nodes:
        if _weighted(node) and found[node.name]:
            bias, better = value(prepared.graph, node.args[2]), value(corrected, *found[node.name])
            if bias is not None and better is not None:
                bias.copy_(better.view_as(bias))


def _is_positive(graph: GraphModule, node: Node) -> bool:
    weight = value(graph, node.args[1]) if _weighted(node) else None
    return weight is not None and bool(weight.min() >= 0)


def _weighted(node: Node) -> bool:
    return str(node.target) in WEIGHTED
