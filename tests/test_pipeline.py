from __future__ import annotations

import errno
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file

import edgedistill
from edgedistill.artifact import Artifact, seal
from edgedistill.cache import Cache
from edgedistill.errors import UserError
from edgedistill.models import build
from edgedistill.pipeline import _what_matters, plan, run_until
from edgedistill.plan import steps
from edgedistill.predict import State
from edgedistill.recipe import Model, Recipe, parse_recipe
from edgedistill.records import QuantizeRecord
from edgedistill.rehearsal import rehearse
from edgedistill.signature import image_inputs
from edgedistill.stages import STAGES
from edgedistill.target import load_target
from edgedistill.tasks import TASKS

pytestmark = pytest.mark.usefixtures("quickly")
TARGET = load_target("android-arm64")
UNTRAINED = [
    "data: started", "rehearsal: an untrained student is built, pruned, quantized and written",
]  # fmt: skip
"""What a run has said that ends before it trains anything."""
ONE_RUNTIME = TARGET.model_copy(update={"runtimes": ("onnxruntime",)})
QUICK = {"epochs": 1, "batch_size": 16, "precision": "fp32"}


class Silent:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        pass


@pytest.fixture
def rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is outside of these tests."""
    monkeypatch.setattr("edgedistill.pipeline.rehearse", rehearse)


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """A recipe of seconds: bright images against dark ones."""
    random = np.random.default_rng(0)
    for name, count in (("train", 80), ("test", 20)):
        labels = np.arange(count) % 2
        images = random.integers(0, 128, (count, 8, 8, 3)) + 127 * labels[:, None, None, None]
        np.savez(tmp_path / name, images=images.astype(np.uint8), labels=labels)
    family = {"family": "resnet_cifar", "depth": 8, "shortcut": "conv"}
    return {
        "name": "tiny",
        "data": {
            "source": "arrays",
            "train": str(tmp_path / "train.npz"),
            "test": str(tmp_path / "test.npz"),
            "image_size": 8,
            "augment": {"shift": 1},
        },
        "teacher": {**family, "widths": [8, 8, 8]},
        "student": {**family, "widths": [16, 16, 16]},
        "stages": {
            "teacher": {"train": dict(QUICK)},
            "teach": {"views": 2, "precision": "fp32"},
            "distill": dict(QUICK),
            "prune": {
                **QUICK,
                "speedup": 1.5,
                "rounds": 2,
                "epochs_between": 0.5,
                "max_drop": 100,
                "round_to": 8,
            },
            "quantize": {**QUICK, "calibration_samples": 16, "sensitivity_samples": 8},
        },
        "deterministic": True,
    }


def recipe(document: dict[str, Any], *overrides: str) -> Recipe:
    return parse_recipe(document, "test", overrides)


def states(wanted: Recipe, cache: Cache, target: str = "android-arm64") -> dict[str, str]:
    return {row.name: row.state for row in plan(wanted, [load_target(target)], cache)[0]}


def test_stages_run_once_and_what_depends_on_a_change_runs_again(
    document: dict[str, Any], tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    first = run_until(recipe(document), TARGET, cache, Silent(), "quantize")
    assert list(first) == [
        "data", "teacher", "teach", "judge", "distill", "prune", "quantize",
    ]  # fmt: skip
    again = Silent()
    run_until(recipe(document), TARGET, cache, again, "quantize")
    assert again.said == []
    changed = states(recipe(document, "stages.prune.epochs=2"), cache)
    assert [name for name, state in changed.items() if state == "cached"] == [
        "data", "teacher", "teach", "judge", "distill",
    ]  # fmt: skip
    assert "cached" not in states(recipe(document, "seed=1"), cache).values()
    metrics = first["prune"].metrics
    assert metrics["macs"] * 1.5 <= first["distill"].metrics["macs"] * 1.01
    assert metrics["samples_seen"] == pytest.approx((0.5 + 1) * 72, rel=0.3)
    quantization = QuantizeRecord.read(first["quantize"]).quantization
    assert quantization is not None
    assert {"conv1", "linear"} <= {row.layer for row in quantization.sensitivity}


def test_pretrained_models_begin_with_output_layers_that_fit(
    document: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    frozen = {**QUICK, "learning_rate": 1e-9, "freeze_batch_norm": True}
    for role in ("teacher", "student"):
        model = TypeAdapter(Model).validate_python(document[role])
        weights = tmp_path / f"{role}.safetensors"
        save_file(build(model, 9, image_inputs(3, 8, 8)).state_dict(), weights)
        document[role]["weights"] = str(weights)
    document["stages"] = {**document["stages"], "teacher": {"train": frozen}, "distill": frozen}
    made = run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "distill")
    for stage in ("teacher", "distill"):
        assert made[stage].metrics["validation_quality"] == 100.0


@pytest.mark.usefixtures("rehearsed")
def test_layers_that_cannot_be_compared_are_said_before_the_teacher_trains(
    document: dict[str, Any], tmp_path: Path
) -> None:
    said = Silent()
    hints = "{kind: hints, layers: [{student: layer9, teacher: layer1}]}"
    with pytest.raises(UserError, match="the student has no layer `layer9`"):
        run_until(recipe(document, f"stages.distill.losses=[{hints}]"), TARGET,
                  Cache(tmp_path / "cache"), said)  # fmt: skip
    assert said.said == UNTRAINED
    document["teacher"] = {"family": "python", "function": "numpy:zeros"}
    document["stages"]["teacher"] = {}
    with pytest.raises(UserError, match="compares inner layers, and this teacher has none to show"):
        run_until(recipe(document, "stages.prune.losses=[{kind: attention}]"), TARGET,
                  Cache(tmp_path / "cache"), said)  # fmt: skip


def test_targets_share_what_does_not_depend_on_them(
    document: dict[str, Any], tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    run_until(recipe(document), TARGET, cache, Silent(), "distill")
    shared = states(recipe(document), cache, "linux-x64-vnni")
    assert [name for name, state in shared.items() if state == "cached"] == [
        "data", "teacher", "teach", "judge", "distill",
    ]  # fmt: skip


def test_moving_the_data_keeps_the_cache(document: dict[str, Any], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    run_until(recipe(document), TARGET, cache, Silent(), "data")
    (tmp_path / "elsewhere").mkdir()
    for name in ("train", "test"):
        moved = (tmp_path / f"{name}.npz").rename(tmp_path / "elsewhere" / f"{name}.npz")
        document["data"][name] = str(moved)
    assert states(recipe(document), cache)["data"] == "cached"


def test_pruning_that_costs_too_much_is_undone_aloud(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedistill.stages import prune

    honest = prune.state_of_model
    scores = iter([40.0, 90.0])

    def unlucky(*arguments: Any) -> State:
        return replace(honest(*arguments), validation_quality=next(scores))

    cache, reporter = Cache(tmp_path / "cache"), Silent()
    run_until(recipe(document), TARGET, cache, reporter, "distill")
    monkeypatch.setattr(prune, "state_of_model", unlucky)
    done = run_until(
        recipe(document, "stages.prune.max_drop=0.5"), TARGET, cache, reporter, "prune"
    )
    assert done["prune"].metrics["undone"]
    assert done["prune"].metrics["macs"] == done["distill"].metrics["macs"]
    assert "prune: undone, it cost" in reporter.said[-1]


def test_labels_alone_ask_no_teacher(document: dict[str, Any]) -> None:
    labels = [{"kind": "labels"}]
    for stage in ("distill", "prune", "quantize"):
        document["stages"][stage] = {**document["stages"][stage], "losses": labels}
    planned = steps(recipe(document), TARGET)
    assert "teach" not in [step.name for step in planned]


def test_whom_to_believe_is_asked_where_only_layers_are_learned_from(
    document: dict[str, Any],
) -> None:
    document["stages"]["distill"]["losses"] = [{"kind": "labels"}, {"kind": "hints"}]
    planned = {step.name: step.inputs for step in steps(recipe(document), TARGET)}
    assert "judge" not in planned["distill"]
    document["stages"]["judge"] = {"wrong": "drop"}
    planned = {step.name: step.inputs for step in steps(recipe(document), TARGET)}
    assert planned["distill"] == {
        "data": "data", "teach": "teach", "judge": "judge", "teacher": "teacher",
    }  # fmt: skip


def test_a_peer_s_weights_are_a_part_of_the_key(document: dict[str, Any], tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from torch import ones

    weights = tmp_path / "peer.safetensors"
    document["stages"]["distill"]["losses"] = [{"kind": "labels"}, {"kind": "peers"}]
    document["stages"]["distill"]["peers"] = [{**document["student"], "weights": str(weights)}]
    configs = []
    for value in (1.0, 2.0):
        save_file({"a": value * ones(1)}, weights)
        (distill,) = (s for s in steps(recipe(document), TARGET) if s.name == "distill")
        configs.append(distill.config)
    assert configs[0] != configs[1]


def test_how_a_step_is_done_is_no_part_of_its_key(document: dict[str, Any]) -> None:
    def matters() -> list[Any]:
        return [_what_matters(s.config.model_dump()) for s in steps(recipe(document), TARGET)]

    before = matters()
    document["data"]["workers"] = 3
    document["stages"]["distill"]["checkpoint_minutes"] = 1
    assert matters() == before
    document["stages"]["distill"]["batch_size"] = 8
    assert matters() != before


def test_something_must_be_left_to_export(document: dict[str, Any]) -> None:
    document["stages"]["quantize"] = None
    document["stages"]["export"] = {"precisions": ["int8"]}
    with pytest.raises(UserError, match="no other precision than int8"):
        steps(recipe(document), TARGET)


def test_pretrained_weights_for_other_classes_are_no_teacher(
    document: dict[str, Any], tmp_path: Path
) -> None:
    document["teacher"] = {"family": "torchvision", "name": "resnet18", "pretrained": True}
    document["stages"]["teacher"] = {}
    with pytest.raises(UserError, match="tell 1000 classes apart, 2 are wanted"):
        run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "teacher")


def test_a_pretrained_teacher_s_name_is_checked(document: dict[str, Any], tmp_path: Path) -> None:
    document["teacher"] = {"family": "torchvision", "name": "resnet81", "pretrained": True}
    document["stages"]["teacher"] = {}
    with pytest.raises(UserError, match="torchvision has no model `resnet81`"):
        run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "teacher")


def test_assistants_learn_from_the_one_before(document: dict[str, Any], tmp_path: Path) -> None:
    document["assistants"] = [document["teacher"], document["student"]]
    document["stages"]["distill"]["losses"] = [{"kind": "soft_targets"}, {"kind": "hints"}]
    planned = {step.name: step.inputs for step in steps(recipe(document), TARGET)}
    assert [name for name in planned if "judge" not in name][:8] == [
        "data", "teacher", "teach", "assistant1", "teach_assistant1", "assistant2",
        "teach_assistant2", "distill",
    ]  # fmt: skip
    assert planned["assistant1"] == {"data": "data", "teach": "teach", "teacher": "teacher"}
    assert planned["distill"] == {
        "data": "data", "teach": "teach_assistant2", "teacher": "assistant2",
    }  # fmt: skip
    done = run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "prune")
    assert done["assistant2"].metrics["params"] == done["distill"].metrics["params"]
    assert done["distill"].digest != done["assistant2"].digest


def test_of_the_peers_the_best_of_the_students_kind_is_kept(
    document: dict[str, Any], tmp_path: Path
) -> None:
    document["stages"]["distill"] |= {
        "peers": [document["student"], document["teacher"]],
        "losses": [{"kind": "labels"}, {"kind": "peers"}],
        "peer_losses": [{"kind": "labels"}],
    }
    done = run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "distill")
    metrics = done["distill"].metrics
    assert len(metrics["peers"]) == 3
    assert metrics["exported_peer"] in (0, 1)
    assert metrics["validation_quality"] == max(metrics["peers"][:2])


def test_images_without_labels_are_learned_from_the_teacher(
    document: dict[str, Any], tmp_path: Path
) -> None:
    from PIL import Image

    folder = tmp_path / "unlabelled" / "deeper"
    folder.mkdir(parents=True)
    for number in range(10):
        Image.new("RGB", (8, 8), (20 * number,) * 3).save(folder / f"{number}.png")
    document["data"]["unlabelled"] = str(tmp_path / "unlabelled")
    done = run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "distill")
    assert done["data"].metrics["counts"] == {"train": 82, "validation": 8, "test": 20}
    assert done["data"].metrics["unlabelled"] == 10
    assert done["teach"].metrics["answers"] == 2 * 82
    assert np.load(done["data"].file("train") / "samples.npy").max() == 89


@pytest.mark.parametrize("keep", ["full", "half", "top_k"])
def test_answers_are_kept_in_the_wanted_form(
    document: dict[str, Any], tmp_path: Path, keep: str
) -> None:
    document["stages"]["teach"] |= {"keep": keep, "top_k": 1}
    done = run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "distill")
    metrics = done["teach"].metrics
    assert ("kept_divergence" in metrics) == (keep != "full")
    if keep != "full":
        assert metrics["kept_divergence"] < 1e-3
        assert metrics["kept_top1"] == 100


def test_a_student_that_does_not_fit_is_refused_before_any_image_is_read(
    document: dict[str, Any], tmp_path: Path
) -> None:
    document["student"] = {"family": "function", "function": "torch.nn:Linear"}
    reporter = Silent()
    with pytest.raises(UserError):
        run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), reporter)
    assert reporter.said == []


@pytest.mark.usefixtures("rehearsed")
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stages.prune={macs: 0.0001}", "pruning cannot reach 0.0001 M MACs"),
        (
            "stages.quantize.keep_float=[conv9]",
            "stages.quantize.keep_float: no layer with weights `conv9`",
        ),
    ],
)
def test_what_cannot_be_pruned_or_kept_is_said_before_anything_is_trained(
    document: dict[str, Any], tmp_path: Path, setting: str, message: str
) -> None:
    reporter = Silent()
    with pytest.raises(UserError, match=message):
        run_until(recipe(document, setting), TARGET, Cache(tmp_path / "cache"), reporter)
    assert reporter.said == UNTRAINED


@pytest.mark.usefixtures("rehearsed")
def test_what_a_runtime_cannot_take_is_said_before_anything_is_trained(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "largest_nets.py").write_text(
        "from torch import nn\n\ndef net(classes):\n"
        "    largest = nn.AdaptiveMaxPool2d(1)\n"
        "    return nn.Sequential(nn.Conv2d(3, classes, 3), largest, nn.Flatten())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    document["student"] = {"family": "function", "function": "largest_nets:net"}
    document["stages"]["prune"] = None
    reporter = Silent()
    with pytest.raises(UserError, match="litert: the model cannot be written"):
        run_until(recipe(document), load_target("android-arm64"), Cache(tmp_path / "c"), reporter)
    assert reporter.said == UNTRAINED


def test_a_full_disk_says_how_to_go_on(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedistill.stages import data

    def full(*_: Any) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data, "run", full)
    with pytest.raises(UserError, match=r"data: the disk is full \(\d+ MB free at .*; nothing"):
        run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "data")


def test_a_damaged_entry_is_dropped_and_built_again(
    document: dict[str, Any], tmp_path: Path
) -> None:
    said: list[str] = []
    cache = Cache(tmp_path / "cache", said.append)
    first = run_until(recipe(document), TARGET, cache, Silent(), "data")["data"]
    labels = first.file("train") / "labels.npy"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x07")
    second = run_until(recipe(document), TARGET, cache, Silent(), "data")["data"]
    assert isinstance(second, Artifact) and second.digest == first.digest
    assert said and said[0].startswith("cache: dropped a damaged entry, it will be built again")


def test_bytes_that_changed_under_the_same_size_and_time_are_not_taken(
    document: dict[str, Any], tmp_path: Path
) -> None:
    said = Silent()
    cache = Cache(tmp_path / "cache", said.say)
    first = run_until(recipe(document), TARGET, cache, said, "data")["data"]
    labels = first.file("train") / "labels.npy"
    before = labels.stat()
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x07")
    os.utime(labels, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = run_until(recipe(document), TARGET, cache, said, "data")["data"]
    assert second.digest == first.digest
    assert any("labels.npy was changed" in text for text in said.said)


def test_what_is_shipped_is_checked_by_content_whatever_its_times_say(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Silent()
    cache = Cache(tmp_path / "cache", said.say)
    first = run_until(recipe(document), TARGET, cache, said, "teacher")["teacher"]
    weights = first.file("model/weights.safetensors")
    monkeypatch.setattr("edgedistill.artifact._times", lambda file: [1, 2, 3])
    text = (first.path / "artifact.json").read_text()
    times = re.sub(r'"times": \[[^]]*\]', '"times": [1, 2, 3]', text)
    (first.path / "artifact.json").write_text(times)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    assert Cache(tmp_path / "cache").find(first.path.name) is not None, "its times say nothing"
    again = run_until(recipe(document), TARGET, cache, said, "teacher")["teacher"]
    assert again.digest == first.digest
    assert any("weights.safetensors was changed" in text for text in said.said)


def test_a_program_that_names_code_is_dropped_and_built_again(
    document: dict[str, Any], tmp_path: Path
) -> None:
    said = Silent()
    cache = Cache(tmp_path / "cache", said.say)
    floats = "stages.export.precisions=[fp32]"
    wanted = recipe(document, "stages.quantize=null", "stages.prune=null", floats)
    first = run_until(wanted, ONE_RUNTIME, cache, said, "quantize")["quantize"]
    made_by = first.json("artifact.json")["made_by"]
    torch.save({"program": Path}, first.file("programs/main.float.program"))
    (first.path / "artifact.json").unlink()
    seal(first.path, "quantize", first.metrics, made_by)
    done = run_until(wanted, ONE_RUNTIME, cache, said, "export")
    assert done["quantize"].digest == first.digest
    (dropped,) = [text for text in said.said if "dropped" in text]
    assert "main.float.program" in dropped


def test_only_the_owner_can_look_into_the_cache(document: dict[str, Any], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    run_until(recipe(document), TARGET, cache, Silent(), "teach")
    for path in cache.root.rglob("*"):
        within = path.relative_to(cache.root).parts
        if path.is_file() and within[0] != "work":
            assert path.stat().st_mode & 0o077 == 0, path
        if len(within) == 1:
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("ending", ["raise KeyError('x')", "raise SystemExit(7)"])
def test_a_model_that_fails_while_it_trains_is_told_as_the_users(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    (tmp_path / "moody.py").write_text(
        "from torch import nn\n\n\nclass Moody(nn.Module):\n"
        "    def __init__(self, classes):\n        super().__init__()\n"
        "        self.linear = nn.Linear(192, classes)\n\n"
        "    def forward(self, x):\n"
        f"        if self.training and len(x) == 16:\n            {ending}\n"
        "        return self.linear(x.flatten(1))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    document["teacher"] = {"family": "function", "function": "moody:Moody"}
    with pytest.raises(UserError, match=r"^your own code failed in moody\.py line 11: "):
        run_until(recipe(document), TARGET, Cache(tmp_path / "cache"), Silent(), "teacher")


def test_every_stage_in_the_table_has_its_file() -> None:
    for stage in STAGES.values():
        assert callable(stage.run)


@pytest.mark.parametrize(
    ("task", "values"),
    [
        pytest.param("multilabel", 2, marks=pytest.mark.slow),
        pytest.param("regression", 1, marks=pytest.mark.slow),
    ],
)
def test_a_task_of_other_labels_compiles_and_is_evaluated(
    document: dict[str, Any], tmp_path: Path, task: str, values: int
) -> None:
    random = np.random.default_rng(1)
    for name, count in (("train", 80), ("test", 20)):
        bright = np.arange(count) % 2
        images = random.integers(0, 128, (count, 8, 8, 3)) + 127 * bright[:, None, None, None]
        labels = np.stack([bright, 1 - bright], axis=1)[:, :values]
        np.savez(tmp_path / name, images=images.astype(np.uint8), labels=labels.astype(float))
    document |= {"task": task, "contract": {"max_drop": 500}}
    document["stages"] |= {
        "prune": None,
        "distill": {**QUICK, "losses": [
            {"kind": "labels"}, {"kind": "soft_targets"},
            *([{"kind": "bounded"}] if task == "regression" else []),
        ]},
        "export": {"precisions": ["int8"]}, "benchmark": {"runs": 10, "seconds": 0.1},
    }  # fmt: skip
    bundle = edgedistill.compile(document, ONE_RUNTIME, tmp_path / "out", tmp_path / "cache")
    assert isinstance(bundle, edgedistill.Bundle)
    assert bundle.report["verified"]
    assert bundle.report["audit"] is None
    rows = edgedistill.evaluate(bundle, document["data"])
    assert {row["metric"] for row in rows} == {TASKS[task].metric}
    told = {row["file"]: row["quality"] for row in bundle.report["files"]}
    assert {row["file"]: pytest.approx(row["quality"]) for row in rows} == told
    (found,) = bundle.predict(np.zeros((8, 8, 3), np.uint8))
    assert list(found.scores) == [str(number) for number in range(values)]


def test_a_retrieval_ships_texts_that_images_are_near_to(
    document: dict[str, Any], tmp_path: Path
) -> None:
    image = document["teacher"]
    document |= {
        "task": "retrieval",
        "teacher": {"family": "dual_encoder", "image": image, "embedding": 6, "text_layers": 1},
    }
    document["data"] |= {"classes": ["night", "day"], "caption": "it is {}"}
    adam = {**QUICK, "epochs": 15, "optimizer": "adamw", "learning_rate": 0.005}
    document["stages"] |= {
        "teacher": {"train": adam}, "distill": {**adam, "losses": [
            {"kind": "soft_targets"}, {"kind": "labels"},
            {"kind": "relations", "of": "logits", "weight": 0.1}]},
        "prune": None,
        "quantize": {"method": "ptq", "calibration_samples": 16, "sensitivity_samples": 0},
        "export": {"precisions": ["int8"]}, "benchmark": {"runs": 10, "seconds": 0.1},
    }  # fmt: skip
    bundle = edgedistill.compile(document, ONE_RUNTIME, tmp_path / "out", tmp_path / "cache")
    assert isinstance(bundle, edgedistill.Bundle)
    assert bundle.manifest["texts"]["captions"] == ["it is night", "it is day"]
    assert np.load(bundle.path / "texts.npy").shape == (2, 6)
    assert bundle.model()(np.zeros((3, 3, 8, 8), np.float32)).shape == (3, 6)
    assert bundle.report["verified"]
    bright, dark = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8, 3), 60, np.uint8)
    assert [each.label for each in bundle.predict([bright, dark])] == ["day", "night"]
    (row,) = edgedistill.evaluate(bundle, document["data"])
    assert (row["metric"], row["quality"]) == ("recall@1", 100.0)
    assert row["recall_at_5"] == 100.0
