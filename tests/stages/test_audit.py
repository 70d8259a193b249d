from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgedistill.cache import Cache
from edgedistill.pipeline import run_until
from edgedistill.recipe import parse_recipe
from edgedistill.target import load_target

KIND = {"family": "resnet_cifar", "depth": 8, "shortcut": "conv"}
QUICK = {"epochs": 3, "batch_size": 16, "precision": "fp32"}


class Silent:
    def say(self, text: str) -> None:
        pass

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        pass


@pytest.fixture(scope="module")
def audited(quickly: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The artifacts of a compile of seconds, up to the audit."""
    folder = tmp_path_factory.mktemp("audited")
    random = np.random.default_rng(0)
    for name, count in (("train", 120), ("test", 60)):
        labels = np.r_[np.arange(count) % 3, np.zeros(count // 6, np.int64)]
        count = len(labels)
        images = random.integers(0, 90, (count, 8, 8, 1)) + 80 * labels[:, None, None, None]
        np.savez(folder / name, images=images.astype(np.uint8), labels=labels)
    lines = [f"test.npz image {row},{'left' if row < 20 else 'right'}" for row in range(30)]
    (folder / "slices.csv").write_text("\n".join(["sample,side", *lines]) + "\n")
    recipe = parse_recipe(
        {
            "name": "tiny",
            "data": {"source": "arrays", "train": str(folder / "train.npz"), "channels": 1,
                     "classes": ["zebra", "ant", "cat"], "image_size": 8,
                     "test": str(folder / "test.npz")},
            "teacher": {**KIND, "widths": [16, 16, 16]},
            "student": {**KIND, "widths": [8, 8, 8]},
            "stages": {
                "teacher": {"train": QUICK},
                "teach": {"views": 1},
                "judge": {"wrong": "drop"},
                "distill": QUICK,
                "quantize": {**QUICK, "method": "ptq", "calibration_samples": 16,
                             "sensitivity_samples": 0},
                "export": {"precisions": ["fp32"]},
                "audit": {"corruption_samples": 20, "control": True,
                          "slices": str(folder / "slices.csv")},
            },
        },
        "test",
    )  # fmt: skip
    target = load_target("linux-x64").model_copy(update={"runtimes": ("onnxruntime",)})
    return run_until(recipe, target, Cache(folder / "cache"), Silent(), "audit")


def test_every_student_is_audited_and_the_control_beside(audited: Any) -> None:
    found = audited["audit"].json("audit.json")
    assert found["order"] == ["teacher", "distill", "shipped", "control"]
    assert set(found["students"]) == {"distill", "shipped", "control"}
    for told in found["students"].values():
        assert told["overall"]["samples"] == 70
        assert set(told["agreement"]) >= {"copied_errors", "student_better"}
    assert [row["stage"] for row in found["drops"]] == ["shipped"]
    samples_seen = audited["control"].metrics["samples_seen"]
    assert samples_seen == pytest.approx(audited["distill"].metrics["samples_seen"], rel=0.2)


def test_classes_keep_the_number_of_their_own_training_images(audited: Any) -> None:
    rows = audited["audit"].json("audit.json")["students"]["shipped"]["classes"]
    counts = audited["data"].metrics["class_counts"]["train"]
    assert {row["class"]: row["train_count"] for row in rows} == counts
    assert rows[0]["class"] == "zebra"
    assert rows[0]["train_count"] > rows[1]["train_count"]


def test_slices_are_those_of_the_table(audited: Any) -> None:
    students = audited["audit"].json("audit.json")["students"]
    for told in students.values():
        rows = [(row["slice"], row["samples"]) for row in told["slices"]]
        assert rows == [("side = left", 20), ("side = right", 10)]


def test_corruptions_come_at_three_strengths_for_each_model(audited: Any) -> None:
    rows = audited["audit"].json("audit.json")["corruptions"]
    assert len(rows) == 1 + 5 * 3
    assert set(rows[0]["accuracy"]) == {"teacher", "distill", "shipped"}


def test_routing_everything_is_as_good_as_the_teacher(audited: Any) -> None:
    found = audited["audit"].json("audit.json")
    last = found["routing"]["curve"][-1]
    assert last["share_routed"] == 1.0
    assert last["accuracy"] == pytest.approx(
        audited["verify"].json("verify.json")["torch"]["teacher"]
    )
    assert found["reference"]["count"] == audited["data"].metrics["counts"]["validation"]
    assert found["reference"]["features"]["variance"] > 0


def test_the_figures_that_a_contract_may_promise(audited: Any) -> None:
    metrics = audited["audit"].metrics
    assert 0 <= metrics["worst_class"] <= 2
    assert metrics["worst_class_name"] in ("zebra", "ant", "cat")
    assert 0 <= metrics["robustness"] <= 2
    assert metrics["calibration_error"] >= 0


def test_the_teachers_errors_are_counted_and_dropped(audited: Any) -> None:
    judged = audited["judge"].json("judge.json")
    assert judged["errors"]["samples"] == audited["data"].metrics["counts"]["train"]
    assert judged["handled"]["drop"] == judged["errors"]["wrong"]["count"]
    assert judged["calibration"]["temperature"] > 0
