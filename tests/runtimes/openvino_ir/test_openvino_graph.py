"""Edits that keep an OpenVINO file's integers, as the CPU plugin runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from exported import EXACT, LABELS, SIZE
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.openvino_ir.graph import executed
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme


class Sums(nn.Module):
    """A convolution beside what it reads, four in a row: the rounding of each adds up."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.beside = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(4))
        self.last = nn.Linear(16, 4)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.first(pixels).relu()
        for layer in self.beside:
            x = (x + layer(x)).relu()
        answer: Tensor = self.last(x.mean((2, 3)))
        return answer


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    prepared = prepare(fold(Sums().eval(), image_inputs(3, SIZE, SIZE)), Scheme())
    calibrate(prepared, [(torch.rand(16, 3, SIZE, SIZE),)])
    path = tmp_path_factory.mktemp("sums") / "sums.xml"
    RUNTIMES["openvino"].write(
        convert(prepared), path, Spec("int8", tuple(LABELS), "integer", "sums")
    )
    return path


def test_a_sum_is_computed_within_its_convolution(sums: Path) -> None:
    model = openvino.Core().read_model(sums)
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rows = executed(model, compiled.get_runtime_model())
    assert [kind for kind, _, _ in rows].count("Convolution") == 5
    assert not [kind for kind, _, _ in rows if "Add" in kind]
    assert not [name for _, name, is_float in rows if is_float]


def test_a_fused_sum_rounds_what_it_adds(sums: Path) -> None:
    if not EXACT:
        pytest.skip("int8 kernels saturate on this processor")
    pixels = np.random.default_rng(0).random((64, 3, SIZE, SIZE), np.float32)
    fused, plain = (
        RUNTIMES["openvino"].load(sums, optimize=optimize)(pixels) for optimize in (True, False)
    )
    (output,) = RUNTIMES["openvino"].load(sums).signature.outputs
    steps = np.rint(np.abs(fused - plain) / output.scale)
    assert steps.max() <= 1
    assert (steps > 0).mean() < 0.02


@pytest.mark.parametrize("hint", ["bf16", "f32"])
def test_a_file_opens_with_whatever_precision_the_plugin_likes(sums: Path, hint: str) -> None:
    settings = {"INFERENCE_PRECISION_HINT": hint}
    request = openvino.compile_model(sums, "CPU", settings).create_infer_request()
    (answer,) = request.infer([np.zeros((1, 3, SIZE, SIZE), np.int8)]).values()
    assert answer.shape == (1, 4)
