"""A file of this compiler's own with an operator that XNNPACK does not take, an int8 hard swish."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgedistill.artifact import seal
from edgedistill.command_line import run
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.devices import Job, Protocol, counts, figures, open_device
from edgedistill.devices.emulator import examine
from edgedistill.devices.left_over import in_words
from edgedistill.records import CountRow, MeasurementRow, MeasurementsRecord, OnDevice
from edgedistill.report import build_report
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

SIZE = 8
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def swish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.Hardswish(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    ).eval()  # fmt: skip
    prepared = prepare(fold(model, image_inputs(3, SIZE, SIZE)), Scheme())
    calibrate(prepared, [(torch.rand(8, 3, SIZE, SIZE),)])
    path = tmp_path_factory.mktemp("swish") / "swish.int8.tflite"
    RUNTIMES["litert"].write(convert(prepared), path, Spec("int8", ("a", "b", "c"), "float"))
    return path


@pytest.fixture
def job(swish: Path, tmp_path: Path) -> Job:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, pixels=np.random.default_rng(0).random((2, 3, SIZE, SIZE), np.float32))
    return Job(swish, "litert", inputs, Protocol(warmup=2, runs=10, seconds=0.1))


def test_benchmark_names_it(swish: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["benchmark", str(swish), "--runs", "10", "--seconds", "0.1"]) == 0
    told = capsys.readouterr().err
    assert "local: swish.int8.tflite: 1 operator left to plain kernels (HARD_SWISH " in told


def contract_of(result: Any, required: bool, **told: Any) -> dict[str, Any]:
    """The contract's lines of a finished compile, where a device told that of its int8 file."""
    target = result.target.model_copy(update={"require_full_delegation": required})
    there = OnDevice("ssh:board", "measured", "a board", "aarch64", (), "", {}, {}, **told)
    report = build_report(replace(result, target=target, on_device=there))
    return {line.name: line for line in report.contract} | {"ok": report.ok}


def test_a_target_that_wants_all_delegated_is_missed_by_name_and_share(
    make_result: Make, job: Job
) -> None:
    with open_device("local") as device:
        record = device.run(job)
    timed = replace(record, operators=[replace(row, microseconds=5.0) for row in record.operators])
    row = MeasurementRow(
        **vars(figures(timed, job.protocol, device, "a board")), model="student",
        runtime="onnxruntime", precision="int8", file="tiny.int8.onnx",
    )  # fmt: skip
    found = contract_of(make_result("android-arm64"), True, times=(row,))
    line = found["delegation"]
    assert (line.status, line.value, found["ok"]) == ("missed", 1.0, False)
    assert line.note.startswith("HARD_SWISH ")
    assert line.note.endswith("; 14 % of the time")
    assert "delegation" not in contract_of(make_result("android-arm64"), False, times=(row,))


def test_where_nothing_tells_what_ran_delegation_is_not_measured(
    make_result: Make, job: Job
) -> None:
    result = make_result("android-arm64")
    target = result.target.model_copy(update={"require_full_delegation": True})
    folder = result.artifacts["benchmark"].path.with_name("again")
    folder.mkdir()
    rows = MeasurementsRecord.read(result.artifacts["benchmark"]).rows
    MeasurementsRecord(tuple(replace(row, operators=()) for row in rows)).write(folder)
    unwatched = {**result.artifacts, "benchmark": seal(folder, "benchmark", {}, {})}
    report = build_report(replace(result, target=target, artifacts=unwatched))
    (line,) = [each for each in report.contract if each.name == "delegation"]
    assert (line.status, line.note) == ("not measured", "nothing tells what ran its operators")


@pytest.mark.emulator
@pytest.mark.skipif(not all(each.ok for each in examine()), reason="the emulator is not set up")
def test_an_emulated_core_tells_its_share_of_the_instructions(make_result: Make, job: Job) -> None:
    with open_device("emulator:cortex-a76") as device:
        record = device.run(job)
    each = [row.instructions for row in record.operators]
    assert None not in each
    # All but what calling the file takes.
    assert 0.7 < sum(filter(None, each)) / record.instructions["all"] < 1
    names = [(row.type, row.where) for row in record.operators]
    assert names == [
        ("QUANTIZE", "XNNPACK"), ("CONV_2D", "XNNPACK"), ("HARD_SWISH", "CPU builtin"),
        ("CONV_2D", "XNNPACK"), ("MEAN", "XNNPACK"), ("FULLY_CONNECTED", "XNNPACK"),
        ("DEQUANTIZE", "XNNPACK"),
    ]  # fmt: skip
    found = counts(record, job.protocol, device, "a core")
    (told,) = map(in_words, found.left)
    assert told.startswith("1 operator left to plain kernels (HARD_SWISH ")
    assert told.endswith("% of the instructions")
    row = CountRow(**vars(found), runtime="onnxruntime", precision="int8", file="tiny.int8.onnx")
    line = contract_of(make_result("android-arm64"), True, counts=(row,))["delegation"]
    assert (line.status, line.note.rpartition(" % of the ")[2]) == ("missed", "instructions")


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_runner_tells_it_with_its_time(job: Job, tmp_path: Path) -> None:
    import subprocess

    from edgedistill.devices import machine, native

    isa = machine()["isa"]
    folder = tmp_path / "run"
    folder.mkdir()
    ready = native.prepared(job, folder)
    libraries = native.libraries("litert", isa)
    words = ready.arguments(isa, str(libraries[0].parent))
    subprocess.run([native.runner(isa), *words], cwd=folder, check=True, timeout=120)
    record = native.answered(ready, folder)
    (row,) = [each for each in record.operators if each.where == "CPU builtin"]
    assert (row.type, row.dtype) == ("HARD_SWISH", "int8")
    assert row.name == next(each.name for each in ready.written if each.type == "HARD_SWISH")
    assert (row.microseconds or 0) >= 0


@pytest.mark.slow
def test_a_compile_for_such_a_target_ends_with_exit_code_1_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgedistill.pipeline.rehearse", lambda *_: None)
    monkeypatch.setattr("edgedistill.stages.benchmark.ROUNDS", 1)
    (tmp_path / "swish.py").write_text(STUDENT)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    for required, code in (("true", 1), ("false", 0)):
        (tmp_path / "board.yaml").write_text(TARGET.format(required))
        words = ["compile", str(tmp_path / "recipe.yaml"), "--target", str(tmp_path / "board.yaml")]
        words += ["--out", str(tmp_path / required), "--cache", str(tmp_path / "cache")]
        assert run(words) == code
        told = " ".join(capsys.readouterr().out.split())
        assert ("delegation at most 0 operators 1 missed HARD_SWISH" in told) == (code == 1)


STUDENT = """
from torch import nn

def make(classes):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, classes),
    )
"""
RECIPE = """
name: swish
data: {source: digits, image_size: 8, limit: 200}
teacher: {family: resnet_cifar, depth: 8, widths: [4, 4, 4]}
student: {family: function, function: "swish:make"}
stages:
  teacher: {train: {epochs: 1, batch_size: 128}}
  teach: {views: 1}
  distill: {epochs: 1, batch_size: 128}
  quantize: {method: ptq, sensitivity_samples: 0}
  audit: {corruption_samples: 0}
  benchmark: {runs: 10, seconds: 0.2}
"""
TARGET = """
description: a board
isa: x86_64
runtimes: [litert]
precisions: [int8]
require_full_delegation: {}
"""
