from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made import in_turn

from edgedistill.artifact import seal
from edgedistill.recipe import BenchmarkConfig, ResidualModel
from edgedistill.signature import image_inputs
from edgedistill.stages import Context
from edgedistill.stages.benchmark import Config, run

CONFIG = Config(
    benchmark=BenchmarkConfig(runs=12, seconds=1, warmup=1), threads=1, machine="this one"
)


class Reporter:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.ticks: list[tuple[float, float]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        self.ticks.append((done, total))


@pytest.fixture
def inputs(make_result: Callable[..., Any], tmp_path: Path) -> dict[str, Any]:
    """A compile's artifacts with a true teacher in them."""
    from edgedistill.models import build, describe, save

    model = ResidualModel(family="resnet_cifar", depth=8, widths=(4, 4, 4))
    folder = tmp_path / "teacher"
    save(
        build(model, 3, image_inputs(1, 8, 8)),
        folder / "model",
        describe(model, 3, image_inputs(1, 8, 8)),
    )
    artifacts = make_result().artifacts
    return {"data": artifacts["data"], "export": artifacts["export"],
            "teacher": seal(folder, "teacher", {}, {})}  # fmt: skip


@pytest.fixture(autouse=True)
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgedistill.stages.benchmark.ROUNDS", 1)


def test_files_and_teacher_are_measured_in_one_run(inputs: dict[str, Any], tmp_path: Path) -> None:
    reporter = Reporter()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    metrics = run(CONFIG, inputs, Context(scratch, 0, False, reporter, scratch / "answers"))
    rows = seal(scratch, "benchmark", {}, {}).json("measurements.json")["rows"]
    assert [(row["model"], row["runtime"], row["precision"], row["file"]) for row in rows] == [
        ("student", "onnxruntime", "fp32", "tiny.fp32.onnx"),
        ("student", "onnxruntime", "int8", "tiny.int8.onnx"),
        ("teacher", "torch", "fp32", None),
        ("teacher", "onnxruntime", "fp32", None),
    ]
    for row in rows:
        assert len(row["samples_ms"]) == 12
        assert row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
        assert row["peak_memory_mb"] >= 0
        assert row["how"] == "measured"
        assert row["where"].startswith("this machine: ")
    assert rows[3]["operators"]
    assert metrics["label"] == f"measured on {rows[0]['where']}"
    assert reporter.ticks[-1] == (8, 8)  # each once for times, once for memory


def test_a_teacher_that_a_runtime_cannot_take_is_left_out_aloud(
    inputs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Path:
        raise RuntimeError("no such operator")

    monkeypatch.setattr("edgedistill.stages.benchmark.in_turn", in_turn)
    monkeypatch.setattr("edgedistill.stages.benchmark._convert", fail)
    reporter = Reporter()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    metrics = run(CONFIG, inputs, Context(scratch, 0, False, reporter, scratch / "answers"))
    assert [row["runtime"] for row in metrics["rows"]] == ["onnxruntime", "onnxruntime", "torch"]
    assert metrics["warnings"] == [
        "teacher: not timed in onnxruntime, which cannot take it (RuntimeError('no such operator'))"
    ]
    assert reporter.said == [f"benchmark: {metrics['warnings'][0]}"]
