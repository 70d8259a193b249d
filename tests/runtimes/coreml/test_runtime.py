"""Core ML as a runtime; what writes files needs coremltools."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from exported import LABELS, Exported, Silent, answers

from edgedistill.devices.local import Local
from edgedistill.errors import UserError
from edgedistill.runtimes import RUNTIMES, Spec, runtime_of
from edgedistill.stages import STAGES, Context
from edgedistill.stages.export import Config
from edgedistill.target import Precision, load_target, target_files

COREML = RUNTIMES["coreml"]


def write(exported: Exported, precision: Precision, folder: Path) -> Path:
    pytest.importorskip("coremltools")
    path = folder / f"tiny.{precision}{COREML.suffix}"
    kind = "int8" if precision == "int8" else "float"
    COREML.write(exported.program(kind), path, Spec(precision, tuple(LABELS)))
    return path


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(UserError, match="coreml: the package `coremltools` is missing") as told:
        COREML.prepare()
    assert told.value.hint == "pip install 'edgedistill[coreml]'"


def test_no_target_is_measured_by_it(tmp_path: Path) -> None:
    document = yaml.safe_load(target_files()["ios-arm64"].read_text())
    path = tmp_path / "phone.yaml"
    path.write_text(yaml.safe_dump({**document, "runtimes": ["litert", "coreml"]}))
    assert load_target(str(path)).runtimes == ("litert", "coreml")
    path.write_text(yaml.safe_dump({**document, "runtimes": ["coreml", "litert"]}))
    with pytest.raises(UserError, match="coreml cannot be the first"):
        load_target(str(path))
    assert "coreml" not in Local.runtimes


@pytest.mark.parametrize(("precision", "apart"), [("fp32", 1e-5), ("fp16", 5e-3)])
def test_a_float_file_answers_as_the_program(
    exported: Exported, tmp_path: Path, precision: Precision, apart: float
) -> None:
    loaded = runtime_of(path := write(exported, precision, tmp_path)).load(path)
    reference = answers(exported.program("float"), exported.pixels())
    assert np.abs(loaded(exported.pixels()) - reference).max() < apart * np.ptp(reference)


def test_an_int8_file_holds_the_graphs_integers(exported: Exported, tmp_path: Path) -> None:
    loaded = COREML.load(write(exported, "int8", tmp_path))
    (output,) = exported.file_entry("litert", "int8").signature.outputs
    assert output.scale is not None
    apart = loaded(exported.pixels()) - answers(exported.program("int8"), exported.pixels())
    assert np.rint(np.abs(apart) / output.scale).max() <= 1
    (taken,), (given,) = loaded.signature.inputs, loaded.signature.outputs
    assert (taken.name, taken.layout, taken.dtype) == ("pixels", "NCHW", "float32")
    assert (taken.shape[0], given.name, given.shape) == (1, "logits", (1, len(LABELS)))


def test_the_export_says_that_it_is_not_run(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    config = Config(
        name="tiny", runtimes=("coreml",), precisions=("fp32",), io="float", processor=""
    )
    context = Context(tmp_path, 0, True, Silent(), tmp_path / "answers")
    inputs = {"data": exported.data, "quantize": exported.quantize}
    metrics = STAGES["export"].run(config, inputs, context)
    assert metrics["warnings"] == [
        "coreml: its files are read back and computed in torch, not run and not timed: they run on "
        "Apple's systems alone"
    ]
    assert list(metrics["bytes"]) == ["tiny.fp32.mlpackage.zip"]
