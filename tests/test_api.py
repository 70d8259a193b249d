from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Silent

import edgedistill
from edgedistill.bundle import write_bundle
from edgedistill.errors import UserError

Make = Callable[..., Any]


@pytest.fixture
def bundle(make_result: Make, tmp_path: Path) -> edgedistill.Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


def test_the_public_names() -> None:
    assert edgedistill.__all__ == [
        "Bundle", "Recipe", "Signature", "Target", "TensorSpec", "UserError", "audit",
        "benchmark", "compare", "compile", "drift", "evaluate", "search", "teach",
    ]  # fmt: skip
    for name in edgedistill.__all__:
        assert getattr(edgedistill, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute `nothing`"):
        _ = edgedistill.nothing


def test_importing_imports_nothing_heavy() -> None:
    heavy = "torch numpy onnx onnxruntime openvino ai_edge_litert PIL pydantic jinja2 rich"
    code = f"import sys, edgedistill; print([n for n in {heavy.split()} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_compile_gives_a_bundle_for_each_target(
    make_result: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def run(recipe: Any, targets: list[Any], cache: Any, reporter: Any, device: Any) -> list[Any]:
        seen.append((recipe.seed, cache.root))
        return [make_result(target.name) for target in targets]

    monkeypatch.setattr("edgedistill.pipeline.run", run)
    recipe = make_result().recipe
    both = edgedistill.compile(
        recipe, ["linux-x64", "android-arm64"], tmp_path / "out", tmp_path / "cache", ["seed=7"]
    )
    assert isinstance(both, list)
    assert [each.path.name for each in both] == ["linux-x64", "android-arm64"]
    assert seen == [(7, tmp_path / "cache")]
    one = edgedistill.compile(recipe, "linux-x64", tmp_path / "one", tmp_path / "cache")
    assert isinstance(one, edgedistill.Bundle)
    assert one.path == tmp_path / "one"
    assert one.ok


def test_a_bundle_is_written_when_its_target_is_done(
    make_result: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedistill import pipeline

    made = make_result("linux-x64")

    def run_until(recipe: Any, target: Any, cache: Any, reporter: Any) -> Any:
        if target.name == "android-arm64":
            assert (tmp_path / "out" / "linux-x64" / "edgedistill.json").is_file()
            raise UserError("export: the model cannot be written")
        return made.artifacts

    monkeypatch.setattr(pipeline, "run_until", run_until)
    both = ["linux-x64", "android-arm64"]
    with pytest.raises(UserError, match="cannot be written"):
        edgedistill.compile(made.recipe, both, tmp_path / "out", tmp_path / "cache")
    assert edgedistill.Bundle.load(tmp_path / "out" / "linux-x64").ok
    assert not (tmp_path / "out" / "android-arm64").exists()


def test_compile_refuses_a_place_before_it_works(
    make_result: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgedistill.pipeline.run", lambda *_: pytest.fail("it ran"))
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="is not a bundle"):
        edgedistill.compile(make_result().recipe, out=tmp_path / "taken", cache=tmp_path / "cache")


def test_evaluate_counts_right_answers_of_each_file(bundle: edgedistill.Bundle) -> None:
    images = np.stack([np.full((8, 8, 1), value, np.uint8) for value in (0, 0, 255, 255)])
    rows = edgedistill.evaluate(bundle, (images, [0, 2, 2, 2]))
    assert [(row["precision"], row["quality"], row["images"]) for row in rows] == [
        ("fp32", 75.0, 4), ("int8", 75.0, 4),
    ]  # fmt: skip
    assert len(edgedistill.evaluate(bundle.path, (images, [0, 2, 2, 2]), precision="int8")) == 1


def test_evaluate_asks_a_device_for_every_answer(bundle: edgedistill.Bundle) -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.full((8, 8, 1), 60, np.uint8)
    labels = np.array([0, 2, 2, 1, 2])
    here = edgedistill.evaluate(bundle, (images, labels))
    reporter = Silent()
    there = edgedistill.evaluate(bundle, (images, labels), device="local", reporter=reporter)
    assert [row["quality"] for row in there] == [row["quality"] for row in here]
    assert {row["device"] for row in there} == {"local"}
    assert reporter.said == [f"local: tiny.{each}.onnx: 1/1" for each in ("fp32", "int8")]
    few = edgedistill.evaluate(bundle, (images, labels), images=2)
    assert {row["images"] for row in few} == {2}


def test_evaluate_names_labels_the_bundle_does_not_know(bundle: edgedistill.Bundle) -> None:
    images = np.zeros((2, 8, 8, 1), np.uint8)
    with pytest.raises(UserError, match="labels run from 0 to 3; the bundle knows 3 classes"):
        edgedistill.evaluate(bundle, (images, [0, 3]))
    with pytest.raises(UserError, match="2 images, but 1 labels"):
        edgedistill.evaluate(bundle, (images, [0]))


def test_benchmark_takes_a_bundle_or_a_file(bundle: edgedistill.Bundle) -> None:
    reporter = Silent()
    rows = edgedistill.benchmark(bundle.path / "tiny.int8.onnx", runs=12, reporter=reporter)
    assert [text.partition(":")[0] for text in reporter.said] == [
        "local",
        *(f"{turn}/4 tiny.int8.onnx in onnxruntime" for turn in (1, 2, 3, 4)),
    ]
    assert [row["file"] for row in rows] == ["tiny.int8.onnx"]
    assert len(rows[0]["samples_ms"]) >= 12
    assert rows[0]["where"].startswith("this machine: ")
    with pytest.raises(UserError, match="not found"):
        edgedistill.benchmark(bundle.path / "none.onnx")


def test_compare_puts_figures_side_by_side(bundle: edgedistill.Bundle) -> None:
    rows = {row["figure"]: row for row in edgedistill.compare(
        bundle, bundle.path / "tiny.fp32.onnx", runs=10)}  # fmt: skip
    assert rows["test quality"]["a"] == 94.0
    assert rows["test quality"]["b"] is None
    assert rows["top-1 agreement"]["b"] == 100.0
    assert rows["largest difference of an output"]["b"] == 0.0
    assert rows["latency p50"]["b"] > 0
