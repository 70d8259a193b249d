"""The distill stage against a plain PyTorch loop that does the same maths.

Three sides, a slice of training each in turn: the distill stage's loop from stored answers, a
hand-written loop from the same stored answers, and the hand-written loop with the ResNet-56
teacher run live. Same images, augmentation, batches, precision, optimizer and schedule, and at the
end the batch norms' statistics are estimated anew from as many images. For two students: the
recipe's, and a ResNet-14, of twice the work.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from benchmarks.cifar10 import EXAMPLE, TARGET
from benchmarks.cifar10 import recipe as cifar10
from benchmarks.common import Quiet, mean_and_std, write
from edgedistill.batch_norm import IMAGES
from edgedistill.cache import Cache, default_root
from edgedistill.data import View, open_split
from edgedistill.data.loading import epoch_order
from edgedistill.devices.machine import multiplies_bf16
from edgedistill.distill.store import open_answers
from edgedistill.models import build, load
from edgedistill.pipeline import run_until
from edgedistill.recipe import ResidualModel
from edgedistill.signature import image_inputs
from edgedistill.train import learning_rate, train
from edgedistill.training_inputs import TrainingInputs

STEPS = 120


def plain(student: Any, split: Any, answers: Any, recipe: Any, bf16: bool, teacher: Any) -> float:
    """Images a second of a loop as one writes it by hand."""
    settings, augment = recipe.stages.distill, recipe.data.augment
    optimizer = torch.optim.SGD(
        student.parameters(), settings.learning_rate, 0.9, weight_decay=5e-4, nesterov=True
    )
    student.train()
    order = epoch_order(len(split), settings.batch_size, recipe.seed, 0)[:STEPS]
    look = View(augment, recipe.seed)
    started = time.monotonic()
    for step, ids in enumerate(order):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, STEPS, settings)
        pixels = torch.from_numpy(split.inputs(ids, look)["pixels"])
        pixels = pixels.to(memory_format=torch.channels_last)
        labels = F.one_hot(torch.from_numpy(split.labels[ids]), 10).float()
        mix = split.mix(ids, look)
        if mix is not None:
            others = F.one_hot(torch.from_numpy(split.labels[mix.others]), 10)
            labels = labels.lerp(others.float(), torch.from_numpy(mix.shares)[:, None])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            if teacher is None:
                target = torch.from_numpy(answers(ids, 0))
            else:
                with torch.no_grad():
                    target = teacher(pixels).float()
            logits = student(pixels)
        logits = logits.float()
        loss = 0.1 * F.cross_entropy(logits, labels) + 0.9 * 16 * F.kl_div(
            F.log_softmax(logits / 4, 1), F.log_softmax(target / 4, 1),
            reduction="batchmean", log_target=True,
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
    seen = order[: math.ceil(IMAGES / settings.batch_size)]
    update_bn((torch.from_numpy(split.inputs(ids, look)["pixels"]) for ids in seen), student)
    return STEPS * settings.batch_size / (time.monotonic() - started)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--set", nargs="*", default=[], help="of the recipe, KEY=VALUE")
    arguments.add_argument("--small", action="store_true", help="9,000 images; writes nothing")
    arguments.add_argument("--cache", type=Path, default=default_root())
    wanted = arguments.parse_args()
    # Less than an epoch is trained, which sees one view.
    part = ["data.limit=9000"] if wanted.small else []
    recipe = cifar10("stages.teach.views=1", *part, *wanted.set, path=EXAMPLE)
    artifacts = run_until(recipe, TARGET, Cache(wanted.cache, print), Quiet(), "teach")
    split, answers = (
        open_split(artifacts["data"].path, "train"),
        open_answers(artifacts["teach"].path),
    )
    teacher = load(artifacts["teacher"].path / "model").to(memory_format=torch.channels_last)
    bf16 = multiplies_bf16()
    settings = recipe.stages.distill.model_copy(
        update={
            "precision": "bf16" if bf16 else "fp32",
            "epochs": STEPS * recipe.stages.distill.batch_size / len(split),
        }
    )

    students = {
        "the recipe's student": recipe.student,
        "ResNet-14": ResidualModel(family="resnet_cifar", depth=14, shortcut="conv"),
    }

    def student(name: str) -> Any:
        torch.manual_seed(recipe.seed)
        return build(students[name], 10, image_inputs(3, 32, 32)).to(
            memory_format=torch.channels_last
        )

    def ours(name: str) -> float:
        training_inputs = TrainingInputs(split, recipe.data.augment, recipe.seed, answers, names=10)
        with TemporaryDirectory() as folder:
            return train(
                training_inputs.objective(student(name), settings.losses, settings.precision),
                training_inputs, settings, checkpoint=Path(folder, "run.safetensors"),
                tick=lambda *_: None,
            )["images_per_second"]  # fmt: skip

    sides: dict[str, Callable[[str], float]] = {
        "edgedistill, stored answers": ours,
        "plain loop, stored answers": lambda name: plain(
            student(name), split, answers, recipe, bf16, None
        ),
        "plain loop, live teacher": lambda name: plain(
            student(name), split, None, recipe, bf16, teacher
        ),
    }
    pairs = list(product(students, sides))
    samples: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    for name, side in pairs:
        sides[side](name)
    for number in range(wanted.rounds):
        for name, side in pairs:
            samples[name, side].append(sides[side](name))
            print(f"round {number + 1}: {name}: {side}: {samples[name, side][-1]:.0f} images/s",
                  flush=True)  # fmt: skip
    rows = []
    for name in students:
        stages, stored, live = (np.array(samples[name, side]) for side in sides)
        ratios = {
            "ratio_to_plain_loop": float(np.median(stages / stored)),
            "ratio_to_live_teacher": float(np.median(stages / live)),
        }
        for side in sides:
            mean, std = mean_and_std(samples[name, side])
            rows.append({
                "name": f"{name}: {side}", "images_per_second_mean": mean,
                "images_per_second_std": std, "samples": samples[name, side],
                **(ratios if sides[side] is ours else {}),
            })  # fmt: skip
    if wanted.small:
        print(rows)
        return
    write(
        "throughput", rows, seeds=[recipe.seed], overrides=wanted.set, precision=settings.precision,
        steps=STEPS, batch_size=settings.batch_size, data="CIFAR-10, JPEG copy",
    )  # fmt: skip


if __name__ == "__main__":
    main()
