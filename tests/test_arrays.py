"""Samples that are arrays of any shape, several by name: a model is called with them in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgedistill.bundle import write_bundle
from edgedistill.cache import Cache
from edgedistill.data import open_split, prepare
from edgedistill.distill.store import open_answers
from edgedistill.errors import UserError
from edgedistill.models import load
from edgedistill.pipeline import Result, run_until
from edgedistill.recipe import parse_recipe
from edgedistill.records import DataRecord, VerifyRecord
from edgedistill.signature import TensorSpec
from edgedistill.target import load_target

QUICK = {"epochs": 2, "batch_size": 16, "precision": "fp32"}
pytestmark = pytest.mark.usefixtures("quickly")
TARGET = load_target("linux-x64").model_copy(update={"runtimes": ("onnxruntime",)})
SHAPES = {"frames": [12, 4], "position": [3]}


class Listening:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None: ...


def sample(number: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(number)
    frames = random.normal(number % 2, 0.5, (12, 4))
    return {"frames": frames, "position": random.uniform(-2, 2, 3)}


def numbers(split: str) -> range:
    return range(60) if split == "train" else range(100, 120)


def named(split: str) -> Iterator[tuple[Any, int]]:
    return ((sample(number), number % 2) for number in numbers(split))


def in_order(split: str) -> Iterator[tuple[Any, list[float]]]:
    """With the mean of the frames, and the first coordinate, to be told."""
    for number in numbers(split):
        frames, position = sample(number).values()
        yield (frames, position), [float(frames.mean()), float(position[0])]


class Net(nn.Module):
    def __init__(self, classes: int, width: int = 16) -> None:
        super().__init__()
        self.frames = nn.Conv1d(4, width, 3, padding=1)
        self.position = nn.Linear(3, width)
        self.head = nn.Linear(width, classes)

    def forward(self, frames: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        seen = torch.relu(self.frames(frames.transpose(1, 2))).mean(2)
        answer: torch.Tensor = self.head(seen + torch.relu(self.position(position)))
        return answer


def document(**changes: Any) -> dict[str, Any]:
    family = {"family": "function", "function": f"{__name__}:Net"}
    return {
        "name": "arrays",
        "data": {"source": "function", "function": f"{__name__}:named", "inputs": SHAPES,
                 "classes": ["low", "high"]},
        "teacher": {**family, "args": {"width": 32}},
        "student": family,
        "stages": {
            "teacher": {"train": dict(QUICK)},
            "teach": {"precision": "fp32"},
            "distill": dict(QUICK),
            "quantize": {"method": "ptq", "calibration_samples": 16, "sensitivity_samples": 0},
        },
        **changes,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_arrays_are_compiled_as_pictures_are(tmp_path: Path, task: str) -> None:
    wanted = document(task=task)
    if task == "regression":
        wanted["data"] |= {"function": f"{__name__}:in_order", "classes": ["mean", "first"]}
        wanted["stages"]["distill"] = {**QUICK, "losses": [{"kind": "labels"}]}
    listening = Listening()
    recipe = parse_recipe(wanted, "r.yaml")
    made = run_until(recipe, TARGET, Cache(tmp_path), listening)
    assert "audit" not in made
    assert VerifyRecord.read(made["verify"]).ok
    split = open_split(made["data"].path, "train")
    ids = np.arange(len(split))
    values = split.inputs(ids)
    assert list(values) == ["frames", "position"]
    expected = [sample(int(number))["position"].astype(np.float32) for number in split.samples]
    assert np.array_equal(values["position"], expected)
    if task == "classification":
        with torch.no_grad():
            own = load(made["teacher"].path / "model")(*map(torch.from_numpy, values.values()))
        stored = open_answers(made["teach"].path)(ids, 0)
        assert np.abs(own.numpy() - stored).max() < 1e-3
    assert any("no pictures" in text for text in listening.said)
    bundle = write_bundle(Result(recipe, TARGET, made), tmp_path / "bundle")
    golden = bundle.golden_inputs()
    assert {name: list(each.shape[1:]) for name, each in golden.items()} == SHAPES
    assert bundle.model(precision="int8")(*golden.values()).shape == (len(golden["frames"]), 2)
    assert [each["name"] for each in bundle.file()["inputs"]] == list(SHAPES)
    with pytest.raises(UserError, match="its models take arrays, not pictures"):
        bundle.predict(np.zeros((8, 8), np.uint8))


def prepared(tmp_path: Path, **data: Any) -> tuple[DataRecord, Listening]:
    listening = Listening()
    recipe = parse_recipe(document(data={**document()["data"], **data}), "r.yaml")
    prepare(recipe.data, "classification", 0, tmp_path, listening)
    from edgedistill.artifact import Artifact

    return DataRecord.read(Artifact(tmp_path, "data", "")), listening


def test_a_model_s_inputs_have_the_range_of_the_training_samples(tmp_path: Path) -> None:
    record, listening = prepared(tmp_path)
    train = open_split(tmp_path, "train").inputs(np.arange(record.counts["train"]))
    assert record.pictures is None
    assert record.inputs == tuple(
        TensorSpec(name, (None, *shape), range=(float(train[name].min()), float(train[name].max())))
        for name, shape in SHAPES.items()
    )
    assert listening.said[0].startswith("data: samples are no pictures: they are not augmented")


def test_a_file_holds_an_array_for_each_input(tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = [sample(number) for number in numbers(split)]
        np.savez(tmp_path / split, labels=np.array(numbers(split)) % 2,
                 **{name: np.stack([row[name] for row in rows]) for name in SHAPES})  # fmt: skip
    paths = {split: str(tmp_path / f"{split}.npz") for split in ("train", "test")}
    data = {"source": "arrays", "inputs": SHAPES, **paths}
    recipe = parse_recipe(document(data=data), "r.yaml")
    prepare(recipe.data, "classification", 0, tmp_path / "out", Listening())
    split = open_split(tmp_path / "out", "test")
    expected = [sample(number)["frames"].astype(np.float32) for number in numbers("test")]
    assert np.array_equal(split.inputs(np.arange(20))["frames"], expected)
    wrong = parse_recipe(document(data={**data, "inputs": {"frames": [4, 12]}}), "r.yaml")
    with pytest.raises(UserError, match=r"`frames` is float64 of shape \(60, 12, 4\); numbers of "):
        prepare(wrong.data, "classification", 0, tmp_path / "no", Listening())


def broken(split: str) -> Iterator[tuple[Any, int]]:
    for arrays, label in named(split):
        yield {**arrays, "frames": np.full((12, 4), np.nan)}, label


def partial(split: str) -> Iterator[tuple[Any, int]]:
    return ((arrays["frames"], label) for arrays, label in named(split))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"function": f"{__name__}:broken"}, "`frames` holds what is no finite number"),
        ({"function": f"{__name__}:partial"}, "has a ndarray, not frames, position"),
        ({"inputs": {"frames": [12, 5], "position": [3]}},
         "`frames` has shape (12, 4), not (12, 5)"),
        ({"inputs": {"frames": [12, 4], "place": [3]}}, "has frames, position, not frames, place"),
    ],
)  # fmt: skip
def test_what_is_no_such_array_is_told(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        prepared(tmp_path, **changes)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"image_size": 8}}, "data: `image_size` is of pictures, and `inputs` says that "
         "samples are none; leave out one of them"),
        ({"data": {"augment": {"flip": True}}}, "data: `augment` is of pictures, and `inputs` says "
         "that samples are none; leave out one of them"),
        ({"data": {"inputs": None}}, "data: the key `image_size` is missing; or `inputs`, where "
         "samples are no pictures"),
        ({"data": {"inputs": {"a/b": [3]}}}, "data.inputs.a/b: string should match pattern "
         "'^[A-Za-z][A-Za-z0-9_]{0,59}$' (got 'a/b')"),
        ({"student": {"family": "resnet_cifar"}}, "`student`: a model of the family `resnet_cifar` "
         "takes pictures, and `data.inputs` says that samples are none; write one: "
         "`family: function`"),
        ({"contract": {"min_robustness": 0.5}}, "`contract.min_robustness` is found by the audit, "
         "which is of pictures and sound; leave it out"),
    ],
)  # fmt: skip
def test_what_is_of_pictures_is_refused(changes: dict[str, Any], message: str) -> None:
    wanted = document()
    wanted |= {**changes, "data": {**wanted["data"], **changes.get("data", {})}}
    with pytest.raises(UserError) as caught:
        parse_recipe(wanted, "r.yaml")
    assert caught.value.message == f"r.yaml: {message}"
