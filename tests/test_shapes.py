"""Models of several inputs and outputs, and of pictures that are not square, by recipe to every
runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.cache import Cache
from edgedistill.models import load
from edgedistill.pipeline import Result, run_until
from edgedistill.recipe import parse_recipe
from edgedistill.records import VerifyRecord
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES
from edgedistill.signature import Signature, TensorSpec
from edgedistill.target import load_target

QUICK = {"epochs": 2, "batch_size": 16, "precision": "fp32"}
pytestmark = pytest.mark.usefixtures("quickly")
TARGET = load_target("linux-x64")
FAR = {"fp32": 1e-4, "int8": 0.15}
"""Of the largest value, that a file may lie from the model in torch."""


class Silent:
    def say(self, text: str) -> None: ...

    def tick(self, label: str, done: float, total: float, note: str = "") -> None: ...


def numbers(split: str) -> range:
    return range(64) if split == "train" else range(100, 116)


def pairs(split: str) -> Iterator[tuple[Any, int]]:
    for number in numbers(split):
        random = np.random.default_rng(number)
        frames = random.normal(number % 2, 0.5, (12, 4))
        yield {"frames": frames, "position": random.uniform(-2, 2, 3)}, number % 2


class Pair(nn.Module):
    """Two inputs, and two outputs of which the second is judged."""

    def __init__(self, classes: int, width: int = 16) -> None:
        super().__init__()
        self.frames, self.position = nn.Linear(4, width), nn.Linear(3, width)
        self.head, self.classes = nn.Linear(width, classes), classes

    def forward(self, frames: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.relu(self.frames(frames)).mean(1)
        embedding = seen + torch.relu(self.position(position))
        return embedding, self.head(embedding)

    def programs(self) -> dict[str, Any]:
        ends = Signature(
            (TensorSpec("frames", (None, 12, 4)), TensorSpec("position", (None, 3))),
            (TensorSpec("embedding", (None, self.head.in_features)),
             TensorSpec("logits", (None, self.classes))),
        )  # fmt: skip
        return {"main": (self.forward, ends)}


def wide(split: str) -> Iterator[tuple[np.ndarray, int]]:
    """Pictures of 120 x 200 with a bright half, the left or the upper one."""
    for number in numbers(split):
        image = np.random.default_rng(number).integers(0, 80, (120, 200, 3), np.uint8)
        bright = np.s_[:, :100] if number % 2 else np.s_[:60]
        image[bright] += 120
        yield image, number % 2


class Wide(nn.Module):
    """Its last layer knows where in a picture of 96 x 160 something was."""

    def __init__(self, classes: int, width: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, 4, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 4, 1), nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(width * 6 * 10, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        answer: Tensor = self.head(self.body(pixels).flatten(1))
        return answer


def compiled(
    tmp_path: Path, model: str, data: dict[str, Any], **stages: Any
) -> tuple[dict[str, Any], Bundle]:
    family = {"family": "function", "function": f"{__name__}:{model}"}
    recipe = parse_recipe(
        {
            "name": model.lower(),
            "data": {"source": "function", **data},
            "teacher": {**family, "args": {"width": 24}},
            "student": family,
            "stages": {
                "teacher": {"train": dict(QUICK)},
                "teach": {"precision": "fp32"},
                "distill": dict(QUICK),
                "quantize": {
                    "method": "qat", **QUICK, "calibration_samples": 16, "sensitivity_samples": 0,
                },
                "benchmark": {"runs": 10, "warmup": 1, "seconds": 0.1},
                **stages,
            },
        },
        "r.yaml",
    )  # fmt: skip
    made = run_until(recipe, TARGET, Cache(tmp_path), Silent())
    assert VerifyRecord.read(made["verify"]).ok
    return made, write_bundle(Result(recipe, TARGET, made), tmp_path / "bundle")


def every_file_answers_as_torch_does(made: dict[str, Any], bundle: Bundle) -> None:
    """All outputs of every file, for the golden inputs."""
    inputs = bundle.golden_inputs()
    with torch.no_grad():
        wanted = load(made["distill"].path / "model")(*map(torch.from_numpy, inputs.values()))
    wanted = [wanted] if isinstance(wanted, Tensor) else list(wanted)
    assert {entry["runtime"] for entry in bundle.files} == set(STANDARD)
    for entry in bundle.files:
        loaded = RUNTIMES[entry["runtime"]].load(bundle.path / entry["file"])
        answered = list(loaded.answer(inputs).values())
        assert len(answered) == len(wanted)
        for found, exact in zip(answered, wanted, strict=True):
            far = np.abs(found - exact.numpy()).max() / np.abs(exact.numpy()).max()
            assert far < FAR.get(entry["precision"], 0.01), entry["file"]


@pytest.mark.slow
def test_two_inputs_and_two_outputs(tmp_path: Path) -> None:
    made, bundle = compiled(tmp_path, "Pair", {
        "function": f"{__name__}:pairs", "classes": ["low", "high"],
        "inputs": {"frames": [12, 4], "position": [3]},
    })  # fmt: skip
    every_file_answers_as_torch_does(made, bundle)
    golden = bundle.golden_inputs()
    assert bundle.model()(*golden.values()).shape == (len(golden["frames"]), 2)


@pytest.mark.slow
def test_pictures_of_96_by_160_pixels(tmp_path: Path) -> None:
    made, bundle = compiled(tmp_path, "Wide", {
        "function": f"{__name__}:wide", "classes": ["upper", "left"], "image_size": [96, 160],
        "resize": "stretch",
    }, audit={"corruption_samples": 8, "control": False})  # fmt: skip
    every_file_answers_as_torch_does(made, bundle)
    images, labels = zip(*wide("test"), strict=True)
    right = [
        found.label == ("upper", "left")[label]
        for found, label in zip(bundle.predict(list(images), precision="int8"), labels, strict=True)
    ]
    assert np.mean(right) > 0.9
