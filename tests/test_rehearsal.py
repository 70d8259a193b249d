from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedistill.artifact import Artifact
from edgedistill.cache import Cache
from edgedistill.errors import UserError
from edgedistill.pipeline import run_until
from edgedistill.plan import steps
from edgedistill.progress import Lines
from edgedistill.recipe import Recipe, parse_recipe
from edgedistill.rehearsal import rehearse
from edgedistill.stages import export
from edgedistill.target import load_target

TARGET = load_target("android-arm64").model_copy(update={"runtimes": ("onnxruntime",)})


def recipe(folder: Path, *overrides: str) -> Recipe:
    family = {"family": "resnet_cifar", "depth": 8, "widths": [8, 8, 8], "shortcut": "conv"}
    document = {
        "name": "tiny",
        "data": {"source": "arrays", "train": str(folder / "train.npz"),
                 "test": str(folder / "train.npz"), "image_size": 8},
        "teacher": family,
        "student": family,
        "stages": {"teacher": {"train": {"epochs": 1}}},
    }  # fmt: skip
    return parse_recipe(document, "test", overrides)


@pytest.fixture
def data(tmp_path: Path) -> Artifact:
    labels = np.arange(40) % 2
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "train", images=images, labels=labels)
    cache = Cache(tmp_path / "cache")
    return run_until(recipe(tmp_path), TARGET, cache, Lines(), "data")["data"]


@pytest.mark.parametrize("method", ["qat", "ptq"])
def test_an_untrained_student_is_quantized_and_written(
    method: str, data: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, Any] = {}
    monkeypatch.setattr(export, "rehearse", lambda _, programs, *rest: written.update(programs))
    wanted = recipe(tmp_path, f"stages.quantize.method={method}")
    rehearse(wanted, steps(wanted, TARGET), {"data": data}, Lines(), tmp_path)
    targets = [str(node.target) for node in written["int8"]["main"].exported.graph.nodes]
    assert list(written) == ["float", "int8"]
    assert any("dequantize_per_channel" in target for target in targets)


def test_both_precisions_are_written_for_each_runtime(
    data: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedistill.runtimes import RUNTIMES

    kind, seen = type(RUNTIMES["onnxruntime"]), []
    monkeypatch.setattr(kind, "write", lambda _, program, path, spec: seen.append(spec))
    wanted = recipe(tmp_path)
    rehearse(wanted, steps(wanted, TARGET), {"data": data}, Lines(), tmp_path)
    assert [(spec.precision, spec.io) for spec in seen] == [
        ("fp32", "float"), ("int8", TARGET.scheme.io),
    ]  # fmt: skip


def test_what_finished_steps_have_proven_is_not_tried_again(
    data: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(tmp_path, "stages.quantize.keep_float=[nothing]")
    planned = steps(wanted, TARGET)
    with pytest.raises(UserError, match="no layer with weights `nothing`"):
        rehearse(wanted, planned, {"data": data, "distill": data}, Lines(), tmp_path)
    rehearse(wanted, planned, {"data": data, "distill": data, "quantize": data}, Lines(), tmp_path)
    monkeypatch.setattr("edgedistill.distill.objective.Objective", None)
    with pytest.raises(UserError):  # no losses are bound for a student that has learned
        rehearse(wanted, planned, {"data": data, "distill": data, "prune": data}, Lines(), tmp_path)
    with pytest.raises(TypeError):
        rehearse(wanted, planned, {"data": data}, Lines(), tmp_path)
