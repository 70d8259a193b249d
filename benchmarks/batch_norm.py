"""A short training from scratch with slow batch norms (torchvision's MobileNetV3, momentum 0.01):
accuracy as the stages leave it, with the statistics that training left, and with those that code of
its own estimates for the same weights."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.common import Quiet, write
from edgedistill import batch_norm
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache
from edgedistill.data import Split, open_split
from edgedistill.models import load, save
from edgedistill.pipeline import run_until
from edgedistill.plan import steps
from edgedistill.recipe import Recipe, parse_recipe
from edgedistill.stages import Context, quantize
from edgedistill.target import load_target

SIZE, BATCH, STEPS = 64, 32, 200
TARGET = load_target("linux-x64").model_copy(update={"runtimes": ("onnxruntime",)})
LABELS = [{"kind": "labels"}]


def photos(count: int, seed: int) -> dict[str, Any]:
    """Five kinds of stripes, rings and squares, in any colour, at any place, with noise."""
    random, labels = np.random.default_rng(seed), np.arange(count) % 5
    images = [_photo(int(label), random) for label in labels]
    return {"images": np.stack(images), "labels": labels}


def _photo(label: int, random: np.random.Generator) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    often, phase = 2 * np.pi * random.uniform(3, 9), random.uniform(0, 2 * np.pi)
    left, top = random.uniform(0.3, 0.7, 2)
    kinds = (
        np.sin(often * x + phase),
        np.sin(often * y + phase),
        np.sin(0.7 * often * (x + y) + phase),
        np.sin(1.5 * often * np.hypot(x - left, y - top) + phase),
        np.sign(np.sin(often * x) * np.sin(often * y)),
    )
    image = 0.5 + 0.25 * kinds[label][..., None] * random.uniform(0.1, 1, 3)
    image += random.normal(0, 0.12, image.shape)
    pixels: NDArray[np.uint8] = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
    return pixels


def recipe(folder: Path, seed: int, method: str = "ptq") -> Recipe:
    samples = {"train": photos(1600, seed), "test": photos(100, seed + 1000)}
    for name, each in samples.items():
        np.savez(folder / name, **each)
    training = {"batch_size": BATCH, "precision": "fp32", "losses": LABELS}
    short = {"epochs": 0.1, "batch_size": BATCH, "precision": "fp32"}
    document = {
        "name": "short",
        "seed": seed,
        "data": {
            "source": "arrays", "train": str(folder / "train.npz"),
            "test": str(folder / "test.npz"), "image_size": SIZE, "augment": {"flip": True},
            "validation": 0.2,
        },
        "teacher": {"family": "resnet_cifar", "depth": 8, "widths": [4, 4, 4]},
        "student": {"family": "torchvision", "name": "mobilenet_v3_small"},
        "stages": {
            "teacher": {"train": short},
            "distill": {**training, "epochs": STEPS / (1280 // BATCH), "learning_rate": 0.05},
            "quantize": {
                **training, "method": method, "epochs": 1, "learning_rate": 0.002,
                "calibration_samples": 128, "sensitivity_samples": 0,
            },
        },
    }  # fmt: skip
    return parse_recipe(document, "benchmarks/batch_norm.py")


def accuracy(model: nn.Module, split: Split) -> float:
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(split.pixels(np.arange(len(split)))))
    return float(100 * (logits.argmax(1).numpy() == split.labels).mean())


def estimated(model: nn.Module, split: Split) -> nn.Module:
    """A copy with statistics from 512 training images, by torch's own cumulative average."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
            module.train()
    with torch.no_grad():
        for ids in np.split(np.arange(512), 512 // BATCH):
            model(torch.from_numpy(split.pixels(ids)))
    return model.eval()


def measure(folder: Path, seed: int, methods: tuple[str, ...] = ("ptq", "qat")) -> dict[str, Any]:
    """Validation accuracies, in percent, of float and int8 students; `folder` is worked in."""
    left: list[nn.Module] = []
    honest = batch_norm.estimate

    def watched(models: Any, batches: Any) -> None:
        left[:] = [copy.deepcopy(model) for model in models]
        honest(models, batches)

    wanted, reporter = recipe(folder, seed), Quiet()
    with mock.patch.object(batch_norm, "estimate", watched):
        done = run_until(wanted, TARGET, Cache(folder / "cache"), reporter, "distill")
    train, validation = (open_split(done["data"].path, name) for name in ("train", "validation"))
    student = load(done["distill"].file("model"))
    row: dict[str, Any] = {
        "seed": seed,
        "float": done["distill"].metrics["validation_quality"],
        "float_estimated_outside": accuracy(estimated(student, train), validation),
        "float_as_training_left": accuracy(left[-1], validation),
        "warned": bool(done["distill"].metrics["warnings"]),
    }
    description = done["distill"].json("model/model.json")
    for name, module in (("outside", estimated(student, train)), ("left", left[-1])):
        save(module, folder / name / "model", description)
    for method in methods:
        row[method] = _quantized(folder, seed, method, done["data"], done["distill"].path)
        row[f"{method}_estimated_outside"] = _quantized(
            folder, seed, method, done["data"], folder / "outside"
        )
    row["ptq_as_training_left"] = _quantized(folder, seed, "ptq", done["data"], folder / "left")
    return row


def _quantized(folder: Path, seed: int, method: str, data: Artifact, student: Path) -> float:
    planned = steps(recipe(folder, seed, method), TARGET)
    config = next(step.config for step in planned if step.name == "quantize")
    inputs = {"data": data, "distill": Artifact(student, "distill", "")}
    with TemporaryDirectory(dir=folder) as scratch:
        context = Context(Path(scratch), seed, False, Quiet(), Path(scratch))
        metrics = quantize.run(config, inputs, context)  # type: ignore[arg-type]
    return float(metrics["validation_quality"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    wanted = parser.parse_args()
    rows = []
    for seed in wanted.seeds:
        with TemporaryDirectory() as folder:
            rows.append(measure(Path(folder), seed))
        print(rows[-1])
    write("batch_norm", rows, seeds=wanted.seeds, steps=STEPS, batch_size=BATCH, image_size=SIZE)


if __name__ == "__main__":
    main()
