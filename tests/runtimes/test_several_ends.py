"""Programs of several inputs and outputs, written for every runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.program import Program, graph_of
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.layers import compare_alone, given_of
from edgedistill.runtimes.program import fold_weights, output_scale, output_scales
from edgedistill.signature import Signature, TensorSpec, image_inputs
from edgedistill.target import Scheme

SIZE, LABELS = 8, ("bird", "cat", "ship")
SIGNATURE = Signature(
    (image_inputs(3, SIZE, SIZE)[0], TensorSpec("vector", (None, 5), "NC", range=(-1.0, 1.0))),
    (TensorSpec("map", (None, 4, SIZE // 2, SIZE // 2), "NCHW"),
     TensorSpec("logits", (None, 3), "NC")),
)  # fmt: skip

runtimes = pytest.mark.parametrize("runtime", STANDARD)


class Joined(nn.Module):
    """A picture to a map, and the map's mean with a vector to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.map = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 4, 1)
        self.widen, self.linear = nn.Linear(5, 6), nn.Linear(14, 3)

    def forward(self, pixels: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.stem(pixels))
        joined = torch.cat([x.mean((2, 3)), torch.relu(self.widen(vector))], 1)
        return self.map(x), self.linear(joined)


def given(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.rand(count, 3, SIZE, SIZE, generator=random)
    return pixels, 2 * torch.rand(count, 5, generator=random) - 1


@pytest.fixture(scope="module")
def programs() -> dict[str, Program]:
    torch.manual_seed(0)
    program = fold(Joined().eval(), SIGNATURE)
    prepared = prepare(program, Scheme())
    calibrate(prepared, [given(16, seed) for seed in range(1, 4)])
    return {"float": program, "int8": convert(prepared)}


def wanted(program: Program) -> dict[str, Any]:
    with torch.no_grad():
        outputs = graph_of(program)(*given(5))
    names = [each.name for each in program.signature.outputs]
    return dict(zip(names, [each.numpy() for each in outputs], strict=True))


def answered(runtime: str, path: Path, optimize: bool = True) -> Any:
    """The loaded file, and what it gives by name."""
    loaded = RUNTIMES[runtime].load(path, optimize=optimize)
    pixels, vector = (each.numpy() for each in given(5))
    return loaded, loaded.answer({"vector": vector, "pixels": pixels})


@runtimes
def test_float_files_answer_as_the_module(
    programs: dict[str, Program], runtime: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{RUNTIMES[runtime].suffix}"
    written = RUNTIMES[runtime].write(programs["float"], path, Spec("fp32", LABELS))
    loaded, found = answered(runtime, path)
    assert loaded.signature == written
    assert [each.name for each in written.inputs] == ["pixels", "vector"]
    assert list(found) == [each.name for each in written.outputs] == ["map", "logits"]
    for name, values in wanted(programs["float"]).items():
        assert found[name].shape == values.shape
        assert np.abs(found[name] - values).max() < 1e-5
    judged = loaded(*(each.numpy() for each in given(5)))
    assert (judged == found["logits"]).all()


@runtimes
@pytest.mark.parametrize("io", ["float", "integer"])
def test_int8_files_answer_within_a_step_of_their_graph(
    programs: dict[str, Program], runtime: str, io: Literal["float", "integer"], tmp_path: Path
) -> None:
    quantized = programs["int8"]
    path = tmp_path / f"a{RUNTIMES[runtime].suffix}"
    written = RUNTIMES[runtime].write(quantized, path, Spec("int8", LABELS, io))
    ends = [each.dtype for each in (*written.inputs, *written.outputs)]
    assert ends == ["int8" if io == "integer" else "float32"] * 4
    # The other two have kernels that saturate where the processor has no int8 dot products.
    loaded, found = answered(runtime, path, optimize=runtime == "litert")
    assert [each.dtype for each in (*loaded.signature.inputs, *loaded.signature.outputs)] == ends
    scales = dict(zip(("map", "logits"), output_scales(quantized), strict=True))
    for name, values in wanted(quantized).items():
        step = scales[name]
        assert step is not None
        assert np.rint(np.abs(found[name] - values).max() / step) <= 1
    # OpenVINO rounds what is joined once, behind the concatenation, which its count takes for one.
    pairs = 1 if runtime == "openvino" else 0
    assert RUNTIMES[runtime].inspect(path)["inner_pairs"] == pairs


@runtimes
def test_each_layer_and_output_is_judged_alone(
    programs: dict[str, Program], runtime: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{RUNTIMES[runtime].suffix}"
    RUNTIMES[runtime].write(programs["int8"], path, Spec("int8", LABELS, "integer"))
    inputs = [each.numpy() for each in given(4)]
    computed = given_of(fold_weights(programs["int8"]), *inputs)
    rows = compare_alone(runtime, path, computed, optimize=False)
    names = [row.layer for row in rows]
    assert {"pixels", "vector", "stem", "cat"} <= set(names) and names[-2:] == ["map", "logits"]
    assert [row for row in rows if row.strays] == []


def test_pixels_are_bytes_and_other_inputs_have_the_range_that_was_seen(
    programs: dict[str, Program], tmp_path: Path
) -> None:
    path = tmp_path / "a.onnx"
    written = RUNTIMES["onnxruntime"].write(programs["int8"], path, Spec("int8", LABELS, "integer"))
    pixels, vector = written.inputs
    assert (pixels.scale, pixels.zero_point) == (pytest.approx(1 / 255), -128)
    assert vector.scale is not None and 1.8 / 255 < vector.scale < 2.1 / 255


def test_the_output_that_is_judged_gives_the_step(programs: dict[str, Program]) -> None:
    scales = output_scales(programs["int8"])
    assert output_scale(programs["int8"]) == scales[1] != scales[0]
    assert output_scales(programs["float"]) == [None, None]
