"""The audit of a classifier of sound, and what a bundle of it says of other recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from beeps import PITCHES, RATE, SECONDS, VOICES, hiss, recordings, tone, write
from onnx import TensorProto, helper, numpy_helper

import edgedistill
from edgedistill.bundle import write_bundle
from edgedistill.cache import Cache
from edgedistill.data.slices import read_slices, sample_names
from edgedistill.errors import UserError
from edgedistill.pipeline import Result, run_until
from edgedistill.recipe import Recipe, parse_recipe
from edgedistill.report.audit import tables
from edgedistill.target import load_target

QUICK = {"epochs": 15, "batch_size": 8, "precision": "fp32", "optimizer": "adamw",
         "learning_rate": 0.01}  # fmt: skip
TARGET = load_target("linux-x64").model_copy(update={"runtimes": ("onnxruntime",)})


class Silent:
    def say(self, text: str) -> None: ...

    def tick(self, label: str, done: float, total: float, note: str = "") -> None: ...


def recipe(folder: Path) -> Recipe:
    net = {"family": "function", "function": "beeps:Net"}
    data = recordings(folder)
    wanted = {
        "name": "tones",
        "data": data,
        "teacher": {**net, "args": {"width": 16}},
        "student": net,
        "stages": {
            "teacher": {"train": QUICK},
            "teach": {"views": 1, "precision": "fp32"},
            "distill": QUICK,
            "quantize": {"precision": "fp32", "method": "ptq", "calibration_samples": 16,
                         "sensitivity_samples": 0},
            "export": {"precisions": ["fp32"]},
            "benchmark": {"runs": 10, "seconds": 0.2, "warmup": 0},
            "audit": {"corruption_samples": 20, "out_of_distribution": str(folder / "odd")},
        },
    }  # fmt: skip
    for number in range(3):
        write(folder / "odd" / f"{number}.wav", tone(3300, number, 1.0))
    return parse_recipe(wanted, "test")


@pytest.fixture(scope="module")
def made(quickly: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tones")
    wanted = recipe(folder)
    return folder, wanted, run_until(wanted, TARGET, Cache(folder / "cache"), Silent())


@pytest.fixture(scope="module")
def audited(made: Any) -> Any:
    return made[2]["audit"].json("audit.json")


@pytest.fixture(scope="module")
def bundle(made: Any) -> edgedistill.Bundle:
    folder, wanted, found = made
    return write_bundle(Result(wanted, TARGET, found), folder / "bundle")


def test_sound_is_made_worse_at_three_strengths(audited: Any) -> None:
    rows = audited["corruptions"]
    kinds = ["noise", "quiet", "clipping", "telephone", "speed"]
    assert [row["kind"] for row in rows] == ["none", *np.repeat(kinds, 3)]
    assert set(rows[0]["accuracy"]) == {"teacher", "distill", "shipped"}
    assert rows[0]["accuracy"]["teacher"] > 90


def test_clips_are_parted_by_their_speakers(audited: Any) -> None:
    shipped = audited["students"]["shipped"]
    found = {row["slice"]: row["samples"] for row in shipped["slices"]}
    assert found
    assert set(found) <= {f"speaker = {name}" for name in VOICES}
    keywords = [row["samples"] for row in shipped["classes"] if row["class"] in PITCHES]
    assert sum(found.values()) == sum(keywords), "negatives and noise are nobody's"


def test_other_sound_is_told_apart_by_the_keywords_alone(audited: Any) -> None:
    found = audited["out_of_distribution"]
    assert found["images"] == 3 * 4, "three recordings of a second, a window each quarter"
    for each in found["models"].values():
        assert 0 <= each["auroc"] <= 1
        assert each["in_confidence"] > each["out_confidence"]


def test_the_audit_is_what_it_is_for_pictures(audited: Any) -> None:
    assert audited["routing"]["curve"][-1]["share_routed"] == 1.0
    assert audited["coverage"]["samples"] == audited["images"]
    assert audited["reference"]["features"]["variance"] > 0
    assert [title for title, _, _ in tables(audited)]


def test_a_bundle_is_evaluated_on_a_recipes_test_clips(bundle: Any, made: Any) -> None:
    """Those that the compile left out, as training has them too, among them."""
    folder, _, found = made
    (row,) = edgedistill.evaluate(bundle, {**recordings(folder)})
    (verified,) = found["verify"].json("verify.json")["rows"]
    left_out = row["images"] - found["data"].metrics["counts"]["test"]
    assert 0 <= left_out < row["images"] / 2
    right = round(row["quality"] * row["images"] / 100)
    of_compile = round(verified["quality"] * (row["images"] - left_out) / 100)
    assert of_compile <= right <= of_compile + left_out


def test_a_bundle_is_evaluated_on_folders_and_manifests(bundle: Any, tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "a" / "high" / f"{number}.wav", tone(1800, 70 + number, 0.6), 16_000)
        write(tmp_path / "a" / "silence" / f"{number}.wav", hiss(number, 1.0))
    (tmp_path / "a" / "high" / "bad.wav").write_bytes(b"no sound")
    (row,) = edgedistill.evaluate(bundle, tmp_path / "a")
    assert (row["images"], row["left_out"]) == (8, 1)
    assert any("high/bad.wav" in note for note in row["notes"])
    assert any("resampled to 8000 Hz: 4 of 16000 Hz" in note for note in row["notes"])
    line = '{"path": "a/silence/%d.wav", "label": "silence"}'
    (tmp_path / "b.jsonl").write_text("\n".join(line % number for number in range(4)))
    (row,) = edgedistill.evaluate(bundle, tmp_path / "b.jsonl")
    assert row["images"] == 4


def test_labels_that_training_never_saw_are_refused(bundle: Any, tmp_path: Path) -> None:
    write(tmp_path / "shrill" / "1.wav", tone(3000, 1))
    with pytest.raises(UserError, match="class `shrill` is not one of the model's 4 classes"):
        edgedistill.evaluate(bundle, tmp_path)


def test_samples_in_memory_are_evaluated_and_audited(bundle: Any) -> None:
    sounds = [tone(1800, 1), tone(500, 2, 0.4).astype(np.float32) / 32768, hiss(3, 0.1)]
    (row,) = edgedistill.evaluate(bundle, (sounds, [0, 1, 3]))
    assert row["images"] == 3
    found = edgedistill.audit(bundle, (sounds, [0, 1, 3]))
    assert found["students"]["shipped"]["overall"]["samples"] == 3


def test_drift_is_seen_in_a_folder_of_recordings(bundle: Any, tmp_path: Path) -> None:
    for number in range(60):
        write(tmp_path / "odd" / f"{number}.wav", hiss(number, 0.3, 0.5))
    told = edgedistill.drift(bundle, tmp_path / "odd")
    assert told["verdict"] == "drifted"
    assert told["observed"]["count"] == 60
    assert any("longer than `sound.seconds: 0.25`" in note for note in told["notes"])


def test_a_table_parts_windows_by_their_names(made: Any) -> None:
    folder, _, found = made
    names = sample_names(found["data"])
    assert any(" at " in name for name in names), "windows of negatives are told apart"
    lines = [f"{name},{'far' if at % 3 else 'near'}" for at, name in enumerate(names)]
    path = folder / "rooms.csv"
    path.write_text("\n".join(["sample,room", *lines]) + "\n")
    parts = read_slices(path, names)
    assert {name: int(mask.sum()) for name, mask in parts.items()} == {
        "room = far": len(names) - (len(names) + 2) // 3, "room = near": (len(names) + 2) // 3,
    }  # fmt: skip


def test_a_file_of_embeddings_teaches(made: Any) -> None:
    """Through the stages, with the layer that is fitted to it."""
    folder, wanted, found = made
    length = round(RATE * SECONDS)
    shape = [helper.make_tensor_value_info("wave", TensorProto.FLOAT, ["batch", length])]
    ends = [helper.make_tensor_value_info("heard", TensorProto.FLOAT, ["batch", 24])]
    waves = np.exp(2j * np.pi * np.outer(np.arange(length), np.linspace(300, 3600, 24)) / RATE)
    held = [numpy_helper.from_array(part.astype(np.float32), name)
            for name, part in (("real", waves.real), ("imaginary", waves.imag))]  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["wave", "real"], ["a"]),
        helper.make_node("MatMul", ["wave", "imaginary"], ["b"]),
        helper.make_node("Mul", ["a", "a"], ["aa"]),
        helper.make_node("Mul", ["b", "b"], ["bb"]),
        helper.make_node("Add", ["aa", "bb"], ["power"]),
        helper.make_node("Sqrt", ["power"], ["heard"]),
    ]
    opset = [helper.make_opsetid("", 17)]
    graph = helper.make_graph(nodes, "bands", shape, ends, held)
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "bands.onnx")
    teacher = {"family": "onnx", "path": str(folder / "bands.onnx"), "outputs": "embedding"}
    stages = {**wanted.stages.model_dump(mode="json", exclude_unset=True)}
    del stages["teacher"]
    document = {**wanted.model_dump(mode="json", exclude_unset=True), "teacher": teacher,
                "stages": stages}  # fmt: skip
    again: Any = run_until(
        parse_recipe(document, "test"), TARGET, Cache(folder / "cache"), Silent(), "teach"
    )
    assert again["data"].digest == found["data"].digest
    assert again["teacher"].metrics["validation_quality"] > 80
    assert again["teach"].metrics["training_quality"][0] > 80
