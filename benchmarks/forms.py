"""An epoch of a student with the teacher run live, and from its stored answers in each form.

ResNet-8 on a part of CIFAR-10, the sides in turn, epoch by epoch. Beside the times stand what each
form takes on disk and the accuracy it leads to, from the rows of `benchmarks.distillation` (run
that first, with the same `--cache`). A live teacher gives the answers that are stored in full:
both see the same views.

    python -m benchmarks.forms [--rounds 5] [--seeds 0 1 2] [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import Quiet, mean_and_std, write
from benchmarks.distillation import COMMON, LIMIT, WAYS, train_one
from benchmarks.throughput import plain
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.devices.machine import multiplies_bf16
from edgedistill.distill.store import open_answers
from edgedistill.models import build, load
from edgedistill.pipeline import run_until
from edgedistill.recipe import Recipe
from edgedistill.signature import image_inputs
from edgedistill.train import train
from edgedistill.training_inputs import TrainingInputs

FORMS = {
    "stored in full": "soft targets",
    "stored in float16": "soft targets, kept in float16",
    "top 3 stored": "soft targets, top 3 kept",
}
"""A row here, and the row of `benchmarks.distillation` that trains from it."""


def student(wanted: Recipe) -> Any:
    torch.manual_seed(wanted.seed)
    return build(wanted.student, 10, image_inputs(3, 32, 32)).to(memory_format=torch.channels_last)


def from_store(wanted: Recipe, made: dict[str, Artifact], bf16: bool) -> float:
    """Seconds of an epoch of the distill stage."""
    split = open_split(made["data"].path, "train")
    answers = open_answers(made["teach"].path)
    settings = wanted.stages.distill.model_copy(
        update={"precision": "bf16" if bf16 else "fp32", "epochs": 1}
    )
    training_inputs = TrainingInputs(split, wanted.data.augment, wanted.seed, answers)
    with TemporaryDirectory() as folder:
        return train(
            training_inputs.objective(student(wanted), settings.losses, settings.precision),
            training_inputs,
            settings,
            checkpoint=Path(folder, "run.safetensors"),
            tick=lambda *_: None,
        )["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    cache, bf16 = Cache(wanted.cache, print), multiplies_bf16()
    recipes = {name: recipe(*COMMON, *WAYS[way]) for name, way in FORMS.items()}
    made = {name: run_until(each, TARGET, cache, Quiet(), last="teach")
            for name, each in recipes.items()}  # fmt: skip
    first = next(iter(FORMS))
    teacher = load(made[first]["teacher"].path / "model").to(memory_format=torch.channels_last)
    split = open_split(made[first]["data"].path, "train")

    def live() -> float:
        speed = plain(student(recipes[first]), split, None, recipes[first], bf16, teacher)
        return len(split) / speed

    seconds: dict[str, list[float]] = {name: [] for name in ("live teacher", *FORMS)}
    for number in range(wanted.rounds + 1):
        epochs = {
            "live teacher": live(),
            **{name: from_store(recipes[name], made[name], bf16) for name in FORMS},
        }
        if number:  # the first round warms up
            for name, each in epochs.items():
                seconds[name].append(each)
            print(epochs, flush=True)
    rows = []
    for name, samples in seconds.items():
        mean, std = mean_and_std(samples)
        row: dict[str, Any] = {"name": name, "epoch_seconds_mean": mean, "epoch_seconds_std": std,
                               "samples": samples}  # fmt: skip
        if name in FORMS:
            reached = [train_one(FORMS[name], seed, cache)["accuracy"] for seed in wanted.seeds]
            row["accuracy_mean"], row["accuracy_std"] = mean_and_std(reached)
            teach = made[name]["teach"].metrics
            row["bytes_an_answer"] = teach["bytes"] / teach["answers"]
            row["divergence_nats"] = teach.get("kept_divergence", 0.0)
        rows.append(row)
    write("forms", rows, seeds=wanted.seeds, student="ResNet-8", teacher="ResNet-56",
          data=f"CIFAR-10, JPEG copy, {LIMIT} training images")  # fmt: skip


if __name__ == "__main__":
    main()
