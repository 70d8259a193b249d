"""Faults of a file are found in the one layer that has them, and right files have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from exported import LABELS, Exported

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.program import Program
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec, layers, program
from edgedistill.runtimes.layers import Given, compare_alone
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

runtimes = pytest.mark.parametrize("runtime", STANDARD)


def given_of(right: Program, pixels: Any) -> Given:
    return layers.given_of(program.fold_weights(right), pixels)


def written(wrong: Program, runtime: str, folder: Path) -> Path:
    path = folder / f"wrong.int8{RUNTIMES[runtime].suffix}"
    RUNTIMES[runtime].write(wrong, path, Spec("int8", tuple(LABELS), "integer", "wrong"))
    return path


@runtimes
def test_each_layer_of_a_right_file_is_the_graphs(exported: Exported, runtime: str) -> None:
    given = given_of(exported.program("int8"), exported.pixels(4))
    rows = compare_alone(runtime, exported.file(runtime, "int8"), given, optimize=False)
    assert {"stem.0", "body.0", "down.0", "logits"} <= {row.layer for row in rows}
    assert [row for row in rows if row.strays] == []


def scale_by_two_percent(wrong: Program) -> None:
    wrong.exported.state_dict["body.0.weight"].data.mul_(1.02)


def drop_the_bias(wrong: Program) -> None:
    wrong.exported.state_dict["body.0.bias"].data.zero_()


def move_the_zero_point(wrong: Program) -> None:
    """Of what reads body.0: it takes each value for one that is a step away."""
    labels = {layer.label: layer for layer in program.layers(program.fold_weights(wrong))}
    readers = labels["stem.0"].readers
    for node in wrong.exported.graph.nodes:
        if node.name in readers:
            node.args = (*node.args[:2], node.args[2] + 3, *node.args[3:])


@pytest.mark.parametrize("spoil", [scale_by_two_percent, drop_the_bias, move_the_zero_point])
def test_a_fault_is_found_where_it_is(
    exported: Exported, tmp_path: Path, spoil: Callable[[Program], None]
) -> None:
    wrong = exported.own_program("int8")
    spoil(wrong)
    path = written(wrong, "onnxruntime", tmp_path)
    given = given_of(exported.program("int8"), exported.pixels(16))
    rows = compare_alone("onnxruntime", path, given, optimize=False)
    strays = [row.layer for row in rows if row.strays]
    assert strays and strays[0] in ("body.0", "add"), rows


def test_numbers_at_a_files_ends_are_looked_at(exported: Exported) -> None:
    right = given_of(exported.program("int8"), exported.pixels(8))
    (logits,), (step,) = right.outputs, right.steps
    assert step is not None
    given = replace(right, outputs=(logits + 3 * step,))
    path = exported.file("onnxruntime", "int8")
    assert [row.layer for row in compare_alone("onnxruntime", path, given, False) if row.strays] \
        == ["logits"]  # fmt: skip
    moved = {**right.integers, right.layers[0].name: right.integers[right.layers[0].name] ^ 1}
    given = replace(right, integers=moved)
    assert compare_alone("onnxruntime", path, given, False)[0].strays


class Deep(torch.nn.Module):
    """Eight times the same, so that roundings add up; its classes are nearly undecided."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, 1, 1)
        self.body = torch.nn.ModuleList(torch.nn.Conv2d(8, 8, 3, 1, 1) for _ in range(8))
        self.linear = torch.nn.Linear(8, len(LABELS))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(pixels))
        for layer in self.body:
            x = torch.relu(x + 0.5 * layer(x))
        logits: torch.Tensor = self.linear(x.mean((2, 3)))
        return logits


@pytest.mark.parametrize("runtime", ["onnxruntime", pytest.param("litert", marks=pytest.mark.slow)])
def test_a_deep_file_is_right_layer_by_layer(tmp_path: Path, runtime: str) -> None:
    torch.manual_seed(0)
    prepared = prepare(fold(Deep().eval(), image_inputs(3, 8, 8)), Scheme(), ())
    pixels = torch.rand(16, 3, 8, 8)
    calibrate(prepared, [(pixels,)])
    quantized = convert(prepared)
    given = given_of(quantized, pixels.numpy())
    rows = compare_alone(runtime, written(quantized, runtime, tmp_path), given, optimize=False)
    assert len(rows) > 16
    assert [row for row in rows if row.strays] == []


class Reader(torch.nn.Module):
    """Attention over four patches, with a mask: torch's own code, which turns the batch behind."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 16, 4, 4)
        self.attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)
        self.linear = torch.nn.Linear(16, len(LABELS))
        self.register_buffer("mask", torch.zeros(4, 4))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)
        seen = self.attention(tokens, tokens, tokens, need_weights=False, attn_mask=self.mask)[0]
        logits: torch.Tensor = self.linear((tokens + seen).mean(1))
        return logits


@pytest.fixture(scope="module")
def attentive() -> tuple[Program, Given]:
    """Quantized, and what its layers compute of five images."""
    torch.manual_seed(0)
    prepared = prepare(fold(Reader().eval(), image_inputs(3, 8, 8)), Scheme(), ())
    pixels = torch.rand(5, 3, 8, 8)
    calibrate(prepared, [(pixels,)])
    quantized = convert(prepared)
    return quantized, given_of(quantized, pixels.numpy())


@runtimes
def test_what_attention_lays_out_anew_is_judged_within_its_reader(
    attentive: tuple[Program, Given], tmp_path: Path, runtime: str
) -> None:
    quantized, given = attentive
    assert len(given.by_sample) < len(given.layers)
    rows = compare_alone(runtime, written(quantized, runtime, tmp_path), given, optimize=False)
    assert {"patches", "logits"} <= {row.layer for row in rows}


def test_an_adaptive_pool_keeps_the_scale_of_its_input(tmp_path: Path) -> None:
    """An integer pool computes in it; what is finer behind would be made up."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 1, 1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(32, len(LABELS)),
    )  # fmt: skip
    prepared = prepare(fold(net.eval(), image_inputs(3, 16, 16)), Scheme(), ())
    pixels = torch.rand(16, 3, 16, 16)
    calibrate(prepared, [(pixels,)])
    quantized = convert(prepared)
    given = given_of(quantized, pixels.numpy())
    rows = compare_alone("litert", written(quantized, "litert", tmp_path), given, optimize=False)
    assert [row for row in rows if row.strays] == []


def test_a_pool_made_of_several_operators_is_right_at_each(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 1, 1), torch.nn.ReLU(),
        torch.nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        torch.nn.Conv2d(8, 8, 3, 1, 1), torch.nn.Flatten(), torch.nn.Linear(200, len(LABELS)),
    )  # fmt: skip
    prepared = prepare(fold(net.eval(), image_inputs(3, 8, 8)), Scheme(), ())
    pixels = torch.rand(16, 3, 8, 8)
    calibrate(prepared, [(pixels,)])
    quantized = convert(prepared)
    given = given_of(quantized, pixels.numpy())
    rows = compare_alone("litert", written(quantized, "litert", tmp_path), given, optimize=False)
    assert [row for row in rows if row.strays] == []
    assert len(rows) > 4
