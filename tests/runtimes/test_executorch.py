"""ExecuTorch's files; those of the tests that write or run one where the extra is installed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import LABELS, Exported, Silent, answers

from edgedistill.errors import UserError
from edgedistill.records import Parity
from edgedistill.runtimes import RUNTIMES, Spec, runtime_of
from edgedistill.runtimes.verdict import Evidence, cause
from edgedistill.stages import STAGES, Context
from edgedistill.stages.export import Config

EXECUTORCH = RUNTIMES["executorch"]


def write(exported: Exported, precision: str, folder: Path) -> Path:
    pytest.importorskip("executorch.exir")
    path = folder / f"tiny.{precision}.pte"
    kind = "int8" if precision == "int8" else "float"
    EXECUTORCH.write(exported.program(kind), path, Spec(precision, tuple(LABELS)))  # type: ignore[arg-type]
    return path


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "executorch.exir", None)
    with pytest.raises(UserError, match="executorch: the package `executorch` is missing") as told:
        EXECUTORCH.prepare()
    assert told.value.hint == "pip install 'edgedistill[executorch]'"


def test_its_version_is_in_the_key_where_it_writes_files() -> None:
    config = Config(name="x", runtimes=("litert",), precisions=("fp32",), io="float", processor="")
    assert config.made_with == ()
    both = config.model_copy(update={"runtimes": ("litert", "executorch")})
    assert both.made_with == ("executorch",)


def test_an_int8_file_that_cannot_be_cut_is_right_where_it_rounds_alone() -> None:
    near = Parity(0.98, 0.02, 0.001, max_steps=3.0, mean_steps=0.1, within_step=0.97)
    assert cause(Evidence(("97 %",), near, near)) == "rounding"
    far = replace(near, mean_steps=0.8)
    assert cause(Evidence(("97 %",), far, far)) == "the file"


def test_a_float_file_answers_as_the_program(exported: Exported, tmp_path: Path) -> None:
    loaded = runtime_of(path := write(exported, "fp32", tmp_path)).load(path)
    reference = answers(exported.program("float"), exported.pixels())
    assert np.abs(loaded(exported.pixels()) - reference).max() < 1e-5 * np.ptp(reference)


def test_an_int8_file_is_a_step_off_at_most(exported: Exported, tmp_path: Path) -> None:
    path = write(exported, "int8", tmp_path)
    found = EXECUTORCH.inspect(path)
    loaded = EXECUTORCH.load(path)
    outside = {row.type for row in loaded.operators() if row.where != "XNNPACK"}
    assert outside == {"aten::slice_copy"}  # what XNNPACK has no strides for is said
    assert found["float_counts"] == {"XNNStaticConstantPad": 1, "aten::slice_copy": 2}
    (output,) = exported.file_entry("litert", "int8").signature.outputs
    assert output.scale is not None
    apart = loaded(exported.pixels()) - answers(exported.program("int8"), exported.pixels())
    assert np.rint(np.abs(apart) / output.scale).max() <= 1


def test_a_file_says_what_it_takes(exported: Exported, tmp_path: Path) -> None:
    loaded = EXECUTORCH.load(write(exported, "int8", tmp_path))
    (taken,), (given,) = loaded.signature.inputs, loaded.signature.outputs
    assert (taken.name, taken.layout, taken.dtype, taken.shape[0]) == (
        "pixels",
        "NCHW",
        "float32",
        1,
    )
    assert (taken.shape[0], given.shape) == (1, (1, len(LABELS)))
    assert given.name == "logits"


def test_files_loaded_at_once_share_their_threads(exported: Exported, tmp_path: Path) -> None:
    path = write(exported, "fp32", tmp_path)
    one, other = EXECUTORCH.load(path, threads=2), EXECUTORCH.load(path, threads=1)
    assert (one(exported.pixels(2)) == other(exported.pixels(2))).all()


def test_what_has_no_form_is_left_out_aloud(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("executorch.exir")
    config = Config(
        name="tiny", runtimes=("executorch",), precisions=("fp32", "fp16"), io="float", processor=""
    )
    context = Context(tmp_path, 0, True, Silent(), tmp_path / "answers")
    inputs = {"data": exported.data, "quantize": exported.quantize}
    metrics = STAGES["export"].run(config, inputs, context)
    assert metrics["warnings"] == ["executorch: there is no such file in fp16"]
    assert list(metrics["bytes"]) == ["tiny.fp32.pte"]
