"""A teacher of 128 pixels and one of 48, for a student of 48 pixels, on the same photos.

Photos of 160 x 160: a small handwritten digit, white, somewhere on a darkened piece of one of
scikit-learn's two sample photos. Training and test have digits and pieces of their own. Teachers
are one residual network behind a first convolution whose stride and kernel go with the picture, so
that each feature behind it sees as much of the photo in both; each answers once for each view, and
the student learns from what is stored.

    python -m benchmarks.sizes [--seeds 0] [--cache DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache as remembered
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmarks.common import Quiet, mean_and_std, write
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.distill.store import open_answers
from edgedistill.models import load
from edgedistill.models.resnet_cifar import ResidualNetwork
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, torch_predictor
from edgedistill.recipe import parse_recipe
from edgedistill.target import load_target

SIDE, DIGIT, LARGE, SMALL = 160, 28, 128, 48
STRIDES = {LARGE: 4, SMALL: 2}
"""Of a teacher's first convolution."""
COUNTS = {"train": 3000, "test": 1000}
KNOWN = 1400
"""Digits of the training photos; the test's are the others."""
SOFT = [{"kind": "soft_targets", "weight": 0.9}, {"kind": "labels", "weight": 0.1}]
ROWS: dict[str, tuple[int, list[dict[str, Any]]]] = {
    "labels only": (SMALL, [{"kind": "labels"}]),
    "teacher of 48 pixels": (SMALL, SOFT),
    "teacher of 128 pixels": (LARGE, SOFT),
}
"""The teacher's pixels, and the losses."""


def seeing(classes: int, stride: int) -> nn.Module:
    """Teacher of pixels (batch, 3, height, width): its residual network sees every `stride`th."""
    first = nn.Conv2d(3, 16, 2 * stride + 1, stride, stride, bias=False)
    rest = ResidualNetwork((2, 2, 2), (16, 32, 64), "conv", classes, 16)
    return nn.Sequential(first, nn.BatchNorm2d(16), nn.ReLU(), rest)


@remembered
def _sources() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    from sklearn.datasets import load_digits, load_sample_image

    images, labels = load_digits(return_X_y=True)
    photos = [np.asarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    return images.reshape(-1, 8, 8) / 16, labels, photos


def photos(split: str) -> Iterator[tuple[np.ndarray, int]]:
    """Photos (160, 160, 3) with the digit's name; the same ones each time."""
    from PIL import Image

    digits, labels, pictures = _sources()
    first, last = (0, KNOWN) if split == "train" else (KNOWN, len(digits))
    random = np.random.default_rng(0 if split == "train" else 1)
    for _ in range(COUNTS[split]):
        number = int(random.integers(first, last))
        picture = pictures[int(random.integers(len(pictures)))]
        # The test's pieces are of the photos' right quarter.
        low, high = (0, 320) if split == "train" else (480, 481)
        x, y = int(random.integers(low, high)), int(random.integers(0, len(picture) - SIDE))
        scene = picture[y : y + SIDE, x : x + SIDE].astype(np.float32) / 2
        drawn = Image.fromarray((255 * digits[number]).astype(np.uint8)).resize((DIGIT, DIGIT))
        ink = np.asarray(drawn, np.float32)[..., None] / 255
        x, y = random.integers(0, SIDE - DIGIT, 2)
        place = scene[y : y + DIGIT, x : x + DIGIT]
        place[:] = (1 - ink) * place + 255 * ink
        yield scene.astype(np.uint8), int(labels[number])


def document(teacher: int, losses: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    return {
        "name": "sizes", "seed": seed,
        "data": {
            "source": "function", "function": "benchmarks.sizes:photos", "image_size": SMALL,
            "classes": [str(digit) for digit in range(10)], "augment": {"shift": 4},
        },
        "teacher": {
            "family": "function", "function": "benchmarks.sizes:seeing",
            "args": {"stride": STRIDES[teacher]}, "image_size": teacher,
        },
        "student": {
            "family": "resnet_cifar", "depth": 8, "widths": [8, 16, 32], "shortcut": "conv",
        },
        "stages": {
            "teacher": {"train": {"epochs": 15, "batch_size": 32}},
            "teach": {"views": 4},
            "distill": {"epochs": 15, "batch_size": 32, "losses": losses},
        },
    }  # fmt: skip


def qualities(name: str, seed: int, cache: Cache) -> dict[str, float]:
    """Test accuracies of teacher and student, and of the stored answers on training photos."""
    pixels, losses = ROWS[name]
    recipe = parse_recipe(document(pixels, losses, seed), "sizes")
    made = run_until(recipe, load_target("linux-x64"), cache, Quiet(), last="distill")
    train, test = (open_split(made["data"].path, split) for split in ("train", "test"))
    ids = np.arange(len(train))
    stored = open_answers(made["teach"].path)(ids, 0).argmax(axis=1)
    return {
        "teacher": _tested(made["teacher"], open_split(made["data"].path, "test", (pixels,) * 2)),
        "stored": 100 * float(np.mean(stored == train.labels[ids])),
        "student": _tested(made["distill"], test),
    }


def _tested(artifact: Artifact, split: Any) -> float:
    answers = logits_of(torch_predictor(load(artifact.path / "model")), split)
    return 100 * float(np.mean(answers.argmax(axis=1) == split.labels))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments.add_argument("--cache", type=Path, default=default_root())
    wanted = arguments.parse_args()
    rows = []
    for name in ROWS:
        found = [qualities(name, seed, Cache(wanted.cache, print)) for seed in wanted.seeds]
        row: dict[str, Any] = {"name": name}
        for key in found[0]:
            samples = [each[key] for each in found]
            row[f"{key}_mean"], row[f"{key}_std"] = mean_and_std(samples)
            row[f"{key}_samples"] = samples
        print(row, flush=True)
        rows.append(row)
    write("sizes", rows, seeds=wanted.seeds, photos=COUNTS, large=LARGE, small=SMALL)


if __name__ == "__main__":
    main()
