"""Core ML packages; where coremltools is installed, of a real program."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.errors import UserError
from edgedistill.program import Program, graph_of
from edgedistill.runtimes.coreml.classifier import write
from edgedistill.runtimes.coreml.convert import coremltools
from edgedistill.runtimes.coreml.evaluate import Evaluated
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

LABELS = ("one", "two", "three")


def program(quantized: bool) -> Program:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    folded = fold(model.eval(), image_inputs(3, 8, 8))
    if not quantized:
        return folded
    prepared = prepare(folded, Scheme())
    calibrate(prepared, [(torch.rand(8, 3, 8, 8),)])
    return convert(prepared)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(UserError, match="Core ML: the package `coremltools` is missing") as told:
        coremltools()
    assert told.value.hint == "pip install 'edgedistill[coreml]'"


@pytest.mark.parametrize("quantized", [False, True])
def test_a_package_holds_what_the_program_computes(tmp_path: Path, quantized: bool) -> None:
    pytest.importorskip("coremltools")
    made = program(quantized)
    write(made, path := tmp_path / "model.mlpackage", LABELS, temperature=2.0)
    found = Evaluated(path)
    assert found.inputs == {"pixels": "imageType"}
    assert list(found.outputs.values()) == ["stringType", "dictionaryType"]
    assert found.operators["classify"] == 1
    assert ("quantize" in found.operators) == quantized
    bytes_ = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8)).astype(np.float32)
    with torch.no_grad():
        logits = graph_of(made)(torch.from_numpy(bytes_ / np.float32(255)))
    wanted = torch.softmax(logits / 2, 1).numpy()
    assert found({"pixels": bytes_}) == pytest.approx(wanted, abs=0.01 if quantized else 1e-5)
