"""Files whose transposes were moved give what they gave before, bit for bit."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import compare_layers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.program import Program, graph_of
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec, program
from edgedistill.runtimes.litert import interpreter
from edgedistill.runtimes.tflite.convert import convert as to_tflite
from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.layout import remove_transposes
from edgedistill.runtimes.tflite.transposes import moved_bytes
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

SIZE = 8


class Shuffle(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass, then both halves are dealt out in turn."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(nn.Conv2d(half, half, 3, padding=1, groups=half), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        joined = torch.cat([kept, self.branch(changed)], 1)
        batch, channels, height, width = joined.shape
        dealt = joined.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        return dealt.reshape(batch, channels, height, width)


class Step(nn.Module):
    """One of the ways in which models handle an image's axes, between convolutions of `width`."""

    WAYS = (
        "pad", "pad_value", "crop", "stride", "chunk", "shuffle", "unshuffle", "mean", "gate",
        "tokens", "flip", "join", "max", "reflect", "permute", "swap", "prelu", "softmax",
    )  # fmt: skip

    def __init__(self, way: str, width: int) -> None:
        super().__init__()
        self.way, self.prelu = way, nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        match self.way:
            case "pad":
                return functional.pad(x, (1, 0, 0, 1))
            case "pad_value":
                return functional.pad(x, (0, 1, 0, 1), value=-1.0)
            case "reflect":
                return functional.pad(x, (1, 1, 1, 1), mode="reflect")
            case "crop":
                return x[:, :, 1:, :-1]
            case "stride":
                return functional.pad(x[:, 1:, ::2], (0, 0, 0, 0, 0, 1))
            case "chunk":
                first, second = x.chunk(2, 1)
                return torch.cat([second, first], 1)
            case "shuffle":
                deeper = torch.cat([x] * 4, 1)
                return functional.pixel_shuffle(deeper, 2)
            case "unshuffle":
                finer = functional.pixel_unshuffle(functional.interpolate(x, scale_factor=2), 2)
                return finer[:, : x.shape[1]]
            case "mean":
                return x - x.mean((2, 3), keepdim=True)
            case "gate":
                return x * x.amax((2, 3), keepdim=True).sigmoid()
            case "tokens":
                size = x.shape
                words = x.flatten(2).transpose(1, 2)
                return (words + words.mean(1, keepdim=True)).transpose(1, 2).reshape(size)
            case "flip":
                return x.flip(3)
            case "join":
                return torch.cat([x, x.new_ones(1, 1, 1, 1).expand_as(x)], 1)[:, 1:][:, ::2]
            case "max":
                return functional.max_pool2d(x, 2, 1)
            case "permute":
                return x.permute(0, 2, 1, 3).reshape(x.shape)
            case "swap":
                return x.transpose(2, 3) + 1
            case "prelu":
                found: Tensor = self.prelu(x)
                return found
            case _:
                return x.softmax(1)


def chain(ways: list[str], width: int = 4) -> nn.Module:
    body: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    for way in ways:
        body += [Step(way, width), nn.Conv2d(width, width, 1)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 3))


def answers(file: File, count: int = 3) -> Any:
    runner = interpreter(file.pack(), 1, False)
    (given_,), (result,) = runner.get_input_details(), runner.get_output_details()
    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        pixels = random.random(given_["shape"], np.float32)
        if given_["dtype"] is np.int8:
            pixels = (pixels * 255 - 128).astype(np.int8)
        runner.set_tensor(given_["index"], pixels)
        runner.invoke()
        found.append(runner.get_tensor(result["index"]).copy())
    return np.concatenate(found)


def check(content: bytes, tolerance: float = 1e-5) -> tuple[File, File]:
    before, after = File(content), File(content)
    remove_transposes(after)
    expected, found = answers(File(content)), answers(after)
    assert np.abs(found.astype(float) - expected).max() <= tolerance
    assert moved_bytes(after) <= moved_bytes(before)
    return before, after


@given(st.lists(st.sampled_from(Step.WAYS), min_size=1, max_size=3))
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_moving_transposes_changes_no_answer(ways: list[str]) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        content = to_tflite(fold(chain(ways).eval(), image_inputs(3, SIZE, SIZE)), False)
    check(content)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, len(Step.WAYS), 3))
def test_each_way_in_float_and_in_integers(first: int) -> None:
    torch.manual_seed(0)
    ways = list(Step.WAYS[first : first + 3])
    folded = fold(chain(ways).eval(), image_inputs(3, SIZE, SIZE))
    check(to_tflite(folded, False))
    check(to_tflite(quantized(folded), True), 0)


def quantized(folded: Program) -> Program:
    prepared = prepare(folded, Scheme())
    calibrate(prepared, [(torch.rand(8, 3, SIZE, SIZE),) for _ in range(2)])
    return convert(prepared)


def test_a_channel_shuffle_moves_channels_where_they_lie(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), Shuffle(8), Shuffle(8), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip
    folded = fold(model.eval(), image_inputs(3, SIZE, SIZE))
    for made, tolerance in ((folded, 1e-5), (quantized(folded), 0.0)):
        before, after = check(to_tflite(made, tolerance == 0), tolerance)
        assert after.count()["TRANSPOSE"] == 2
        assert moved_bytes(after) * 3 <= moved_bytes(before) * 1.5
        for operator in after.operators:
            if after.kind(operator) == "TRANSPOSE":
                assert list(after.constant(operator.inputs[1])) == [0, 1, 2, 4, 3]  # type: ignore[arg-type]


def test_only_what_lies_as_in_the_program_is_called_as_there(tmp_path: Path) -> None:
    """A flatten of height before width: its values come in another order, in the same shape."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), Shuffle(8), nn.Flatten(), nn.Linear(128, 4)
    )
    made = quantized(fold(model.eval(), image_inputs(3, SIZE, SIZE)))
    path = tmp_path / "named.tflite"
    RUNTIMES["litert"].write(made, path, Spec("int8", tuple("abcd"), "float"))
    rows = compare_layers(path, made, torch.rand(2, 3, SIZE, SIZE).numpy())
    assert {"0", "2.branch.0", "cat", "4"} <= {row["layer"] for row in rows}
    assert max(row["max_steps"] for row in rows) <= 1


@pytest.mark.slow
def test_shufflenet_is_written_and_answers_as_the_module(tmp_path: Path) -> None:
    import torchvision

    torch.manual_seed(0)
    widths = [24, 48, 96, 192, 64]
    model = torchvision.models.ShuffleNetV2([1, 2, 1], widths, num_classes=4)
    pixels = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        for _ in range(4):  # batch statistics of something else than the identity
            model(torch.rand(8, 3, 64, 64))
    folded = fold(model.eval(), image_inputs(3, 64, 64))
    prepared = prepare(folded, Scheme())
    calibrate(prepared, [(torch.rand(8, 3, 64, 64),), (pixels,)])
    made = convert(prepared)
    answered = {"fp32": model(pixels), "int8": graph_of(made)(pixels)}
    for name, (precision, wanted) in itertools.product(STANDARD, answered.items()):
        runtime = RUNTIMES[name]
        path = tmp_path / f"{precision}{runtime.suffix}"
        spec = Spec(precision, tuple("abcd"), "float")  # type: ignore[arg-type]
        runtime.write(made if precision == "int8" else folded, path, spec)
        found = runtime.load(path, optimize=False)(pixels.numpy())
        step = program.output_scale(made) if precision == "int8" else 1e-4
        assert step is not None
        assert np.abs(found - wanted.detach().numpy()).max() < 2.5 * step, path.name


def test_a_pixel_shuffle_is_one_transpose() -> None:
    """The converter writes it as three, of axes that it joined and split again."""
    torch.manual_seed(0)
    with torch.no_grad():
        content = to_tflite(fold(chain(["shuffle"]).eval(), image_inputs(3, SIZE, SIZE)), False)
    _, after = check(content)
    assert after.count()["TRANSPOSE"] == 1
