"""A teacher that sees more than the student: 128 pixels against 48, of the same photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgedistill.cache import Cache
from edgedistill.data import Form, open_split, to_pixels
from edgedistill.data.splits import View
from edgedistill.distill.store import open_answers
from edgedistill.errors import UserError
from edgedistill.models import inputs_of, load
from edgedistill.pipeline import run_until
from edgedistill.recipe import parse_recipe
from edgedistill.records import VerifyRecord
from edgedistill.signature import image_size
from edgedistill.target import load_target

TEACHER, STUDENT = (128, 128), (48, 48)
QUICK = {"epochs": 1, "batch_size": 16, "precision": "fp32"}
pytestmark = pytest.mark.usefixtures("quickly")
TARGET = load_target("linux-x64").model_copy(update={"runtimes": ("onnxruntime",)})


class Silent:
    def say(self, text: str) -> None: ...

    def tick(self, label: str, done: float, total: float, note: str = "") -> None: ...


def photo(number: int) -> np.ndarray:
    """(150, 200, 3): stripes that lie or stand, by class, with noise."""
    random = np.random.default_rng(number)
    image = random.integers(0, 100, (150, 200, 3), np.uint8)
    stripes = (np.arange(200) // 20 % 2).astype(bool)
    if number % 2:
        image[:, stripes] += 100
    else:
        image[stripes[:150]] += 100
    return image


def photos(split: str) -> Iterator[tuple[np.ndarray, int]]:
    numbers = range(48) if split == "train" else range(100, 116)
    return ((photo(number), number % 2) for number in numbers)


def document(**teacher: Any) -> dict[str, Any]:
    family = {"family": "resnet_cifar", "depth": 8, "widths": [8, 8, 8]}
    return {
        "name": "sizes",
        "data": {
            "source": "function", "function": f"{__name__}:photos", "classes": ["lie", "stand"],
            "image_size": STUDENT[0], "augment": {"shift": 3, "flip": True, "scale": 0.8},
        },
        "teacher": {**family, "image_size": TEACHER[0], **teacher},
        "student": {**family, "shortcut": "conv"},
        "stages": {
            "teacher": {"train": dict(QUICK)},
            "teach": {"views": 2, "precision": "fp32"},
            "distill": {**QUICK, "losses": [{"kind": "soft_targets"}, {"kind": "hints"}]},
            "quantize": {"method": "ptq", "calibration_samples": 16, "sensitivity_samples": 0},
            "audit": {"corruption_samples": 8, "control": False},
            "benchmark": {"runs": 10, "warmup": 1, "seconds": 0.1},
        },
    }  # fmt: skip


@pytest.mark.slow
def test_each_model_sees_its_own_size(tmp_path: Path) -> None:
    recipe = parse_recipe(document(), "r.yaml")
    made = run_until(recipe, TARGET, Cache(tmp_path), Silent(), "verify")
    data, teacher = made["data"].path, made["teacher"].path / "model"
    assert image_size(inputs_of(teacher)) == TEACHER
    assert image_size(inputs_of(made["distill"].path / "model")) == STUDENT

    small, large = (open_split(data, "train", size) for size in (STUDENT, TEACHER))
    for split, size in ((small, STUDENT), (large, TEACHER)):
        images = [photo(int(sample)) for sample in split.samples]
        assert np.array_equal(split.pixels(np.arange(len(split))), to_pixels(images, Form(size, 3)))

    ids = np.arange(len(large))
    shown = large.inputs(ids, View(recipe.data.augment, recipe.seed, 1))["pixels"]
    with torch.no_grad():
        own = load(teacher)(torch.from_numpy(shown)).numpy()
    stored = open_answers(made["teach"].path)(ids, 1)
    assert np.abs(own - stored).max() < 1e-3

    test = open_split(data, "test", TEACHER)
    with torch.no_grad():
        own = load(teacher)(torch.from_numpy(test.pixels(np.arange(len(test))))).numpy()
    verified = np.load(made["verify"].path / "logits.npz")["teacher"]
    assert np.allclose(own, verified, atol=1e-3)
    assert VerifyRecord.read(made["verify"]).ok


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": {"family": "resnet_cifar", "image_size": 64}},
         "`student.image_size`: only `teacher` sees the images in a size of its own"),
        ({"teacher": {"family": "stored", "path": "a", "image_size": 64}, "stages": {}},
         "`teacher.image_size`: stored answers were given already"),
        ({"teacher": {"family": "onnx", "path": "a", "image_size": [64, 128]}, "stages": {}},
         "`teacher.image_size: [64, 128]` has other proportions than `data.image_size: [48, 48]`; "
         "of a picture that is cut to its middle, the teacher would see another part"),
    ],
)  # fmt: skip
def test_only_a_teacher_that_sees_has_a_size_of_its_own(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        parse_recipe({**document(), **changes}, "r.yaml")
    assert caught.value.message == f"r.yaml: {message}"


def test_a_stretched_picture_is_the_same_in_any_proportions() -> None:
    wanted = document(image_size=[64, 128])
    wanted["data"]["resize"] = "stretch"
    assert parse_recipe(wanted, "r.yaml").teacher.image_size == (64, 128)
