from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from edgedistill import pipeline
from edgedistill.artifact import Artifact
from edgedistill.libraries import libraries, version
from edgedistill.pipeline import _key
from edgedistill.plan import Step, steps
from edgedistill.recipe import (
    ClipTeacher,
    Ensemble,
    HuggingFaceTeacher,
    KerasTeacher,
    Member,
    OnnxTeacher,
    Teacher,
    TfliteTeacher,
    TorchvisionModel,
    parse_recipe,
)
from edgedistill.target import load_target

TARGET = load_target("android-arm64")
OWN = {"family": "resnet_cifar", "depth": 8}
ZOO = {"family": "torchvision", "name": "mobilenet_v3_small"}
TRAINED = {"teacher": {"train": {"epochs": 1}}}


def planned(teacher: Any, student: Any, stages: Any) -> dict[str, Step]:
    document = {
        "name": "any", "data": {"source": "digits"}, "teacher": teacher, "student": student,
        "stages": stages,
    }  # fmt: skip
    return {step.name: step for step in steps(parse_recipe(document, "test"), TARGET)}


def using(found: dict[str, Step], library: str) -> list[str]:
    return [name for name, step in found.items() if library in step.libraries]


def test_our_own_nets_depend_on_no_zoo() -> None:
    assert not [step for step in planned(OWN, OWN, TRAINED).values() if step.libraries]


def test_a_zoo_s_version_counts_where_its_model_is_built_and_no_where_else() -> None:
    pruned = {**TRAINED, "prune": {"speedup": 2}, "audit": {"control": True}}
    found = planned(OWN, ZOO, pruned)
    assert using(found, "torchvision") == [
        "distill", "prune", "quantize", "export", "verify", "control", "audit", "benchmark",
    ]  # fmt: skip
    found = planned(ZOO, OWN, pruned)
    assert using(found, "torchvision") == [
        "teacher", "teach", "export", "verify", "audit", "benchmark",
    ]  # fmt: skip


def test_a_teacher_that_is_looked_into_is_built_by_who_learns_from_it() -> None:
    stages = {**TRAINED, "distill": {"losses": [{"kind": "labels"}, {"kind": "attention"}]}}
    found = planned(ZOO, OWN, stages)
    assert "torchvision" in found["distill"].libraries
    assert "torchvision" not in found["quantize"].libraries


def test_peers_and_members_of_an_ensemble_count() -> None:
    members = (
        Member(teacher=OnnxTeacher(family="onnx", path=Path("t.onnx"))),
        Member(teacher=TorchvisionModel(family="torchvision", name="resnet18", pretrained=True)),
    )
    assert libraries(Ensemble(family="ensemble", members=members)) == {"onnxruntime", "torchvision"}
    stages = {"distill": {"losses": [{"kind": "labels"}, {"kind": "peers"}], "peers": [ZOO]}}
    assert using(planned(OWN, OWN, {**TRAINED, **stages}), "torchvision") == ["distill"]


@pytest.mark.parametrize(
    ("teacher", "needed"),
    [
        (OnnxTeacher(family="onnx", path=Path("t.onnx")), {"onnxruntime"}),
        (TfliteTeacher(family="tflite", path=Path("t.tflite")), {"ai-edge-litert"}),
        (KerasTeacher(family="keras", path=Path("t.keras")), {"keras", "tensorflow"}),
        (HuggingFaceTeacher(family="huggingface", name="a/b"), {"transformers"}),
        (ClipTeacher(family="clip", name="a/b", embedding=8), {"transformers"}),
    ],
)
def test_the_runtime_of_a_teacher_in_a_file_counts(teacher: Teacher, needed: set[str]) -> None:
    assert libraries(teacher) == needed


def test_the_key_holds_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    step = planned(OWN, ZOO, TRAINED)["distill"]
    recipe = parse_recipe(
        {"name": "any", "data": {"source": "digits"}, "teacher": OWN, "student": ZOO,
         "stages": TRAINED}, "test"
    )  # fmt: skip
    inputs = {"data": Artifact(Path(), "data", "")}
    key, made_by = _key(recipe, step, inputs)
    assert made_by["libraries"]["torchvision"] == metadata.version("torchvision")
    monkeypatch.setattr(pipeline, "version", lambda name: "0.0.1")
    assert _key(recipe, step, inputs)[0] != key


def test_what_a_users_own_model_imports_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_student.py").write_text("import os, own_parts\n\ndef build(): ...\n")
    (tmp_path / "own_parts.py").write_text(
        "from PIL import Image\nimport torchvision.ops, nothing\n"
    )
    student = {"family": "function", "function": "own_student:build"}
    found = planned(OWN, student, TRAINED)["distill"].libraries
    assert found == {"pillow", "torchvision"}


def test_what_is_missing_has_no_version() -> None:
    assert version("no-such-distribution") is None
