"""What helps a ResNet-8 on CIFAR-10 to learn from its teacher: stronger views with stored answers,
losses, and the training's own settings, each against the same base by the validation images.

5,000 images of validation, the test set left alone; equal passes. A row that was finished, or
begun, goes on from the cache.

    python -m benchmarks.views [--rows base cutmix ...] [--images 10000] [--seeds 0] [--epochs 30]
    python -m benchmarks.views --write          # and record the result
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import Quiet, mean_and_std, write
from edgedistill.cache import Cache, default_root
from edgedistill.pipeline import run_until

JUDGED = 5_000
BASE = (
    "student.depth=8", "student.shortcut=conv", "stages.prune=null", "stages.teach.views=16",
)  # fmt: skip
SOFT = "{kind: soft_targets, weight: 0.9}, {kind: labels, weight: 0.1}"
CUTMIX = ("data.augment.cutmix=0.5",)
DECAY = ("stages.distill.weight_decay=0.0001",)


def losses(*entries: str) -> str:
    """An override for what the student learns from."""
    return f"stages.distill.losses=[{', '.join(entries)}]"


def student(depth: int, *widths: int, shortcut: str = "conv") -> tuple[str, ...]:
    """Overrides for another shape."""
    return (f"student.depth={depth}", f"student.widths={list(widths)}",
            f"student.shortcut={shortcut}")  # fmt: skip


def blocks(each: tuple[int, int, int], *widths: int, shortcut: str = "conv") -> tuple[str, ...]:
    """Overrides for a shape with other numbers of blocks in its groups."""
    return ("student.depth=null", f"student.blocks={list(each)}",
            f"student.widths={list(widths)}", f"student.shortcut={shortcut}")  # fmt: skip


ROWS: dict[str, tuple[str, ...]] = {
    "base": (),
    "weight decay 1e-4": DECAY,
    "cutmix 0.5": CUTMIX,
    "cutmix 0.5, weight decay 1e-4": CUTMIX + DECAY,
    "hints": (losses(SOFT, "{kind: hints, weight: 1}"),),
    "mixup 0.5": ("data.augment.mixup=0.5",),
    "mixup 0.25, cutmix 0.25": ("data.augment.mixup=0.25", "data.augment.cutmix=0.25"),
    "randaugment 1": ("data.augment.randaugment=1",),
    "cutmix 0.5, randaugment 1": (*CUTMIX, "data.augment.randaugment=1"),
    "cutmix 0.5, hints": (*CUTMIX, losses(SOFT, "{kind: hints, weight: 1}")),
    "learning rate 0.05": ("stages.distill.learning_rate=0.05",),
    "learning rate 0.2": ("stages.distill.learning_rate=0.2",),
    "learning rate 0.4": ("stages.distill.learning_rate=0.4",),
    "temperature 2": (
        losses("{kind: soft_targets, weight: 0.9, temperature: 2}",
               "{kind: labels, weight: 0.1}"),
    ),
    "temperature 8": (
        losses("{kind: soft_targets, weight: 0.9, temperature: 8}",
               "{kind: labels, weight: 0.1}"),
    ),
    "answers alone": (losses("{kind: soft_targets}"),),
    "ema 0.99": ("stages.distill.ema=0.99",),
    "4 views": ("stages.teach.views=4",),
    "labels alone": (losses("{kind: labels}"),),
    "labels alone, cutmix 0.5": (*CUTMIX, losses("{kind: labels}")),
    "ResNet-8, 16, 32, 48": student(8, 16, 32, 48),
    "ResNet-14, 16, 16, 48": student(14, 16, 16, 48),
    "ResNet-14, 8, 16, 48": student(14, 8, 16, 48),
    "ResNet-14, 16, 32, 32": student(14, 16, 32, 32),
    "ResNet-8, no shortcut": blocks((1, 1, 1), 16, 32, 64, shortcut="none"),
    "blocks 0, 2, 1, no shortcut": blocks((0, 2, 1), 16, 32, 64, shortcut="none"),
    "blocks 0, 2, 3, 16, 32, 32": blocks((0, 2, 3), 16, 32, 32),
    "blocks 1, 2, 2, 16, 16, 48, no shortcut": blocks((1, 2, 2), 16, 16, 48, shortcut="none"),
}  # fmt: skip


def trained(cache: Cache, row: str, images: int, seed: int, epochs: float) -> dict[str, Any]:
    """Validation accuracy in percent of the float student, and what it took."""
    whole = images + JUDGED
    overrides = (
        *BASE, f"data.limit={whole}", f"data.validation={JUDGED / whole}",
        f"seed={seed}", f"stages.distill.epochs={epochs:g}", *ROWS[row],
    )  # fmt: skip
    artifacts = run_until(recipe(*overrides), TARGET, cache, Quiet(), last="distill")
    told = artifacts["distill"].metrics
    return {
        "accuracy": told["validation_quality"],
        "seconds": told["seconds"],
        "images_per_second": told["images_per_second"],
        "macs": told["macs"],
        "params": told["params"],
        "teacher_on_views": artifacts["teach"].metrics["training_quality"]
        if "teach" in artifacts
        else [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--images", type=int, default=10_000, help="to train on")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--cache", type=Path, default=default_root())
    parser.add_argument("--write", action="store_true", help="record the result")
    wanted = parser.parse_args()
    cache = Cache(wanted.cache, print)
    rows = []
    for row in wanted.rows:
        runs = [trained(cache, row, wanted.images, seed, wanted.epochs) for seed in wanted.seeds]
        mean, std = mean_and_std([run["accuracy"] for run in runs])
        rows.append({"name": row, "accuracy_mean": mean, "accuracy_std": std,
                     "macs": runs[0]["macs"], "params": runs[0]["params"],
                     "samples": runs})  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    if wanted.write:
        write(
            "views", rows, seeds=wanted.seeds, epochs=wanted.epochs, of="validation",
            data=f"CIFAR-10, JPEG copy, {wanted.images} images, {JUDGED} of validation",
        )  # fmt: skip


if __name__ == "__main__":
    main()
