"""What helps a small student on CIFAR-10 to learn from its teacher: its shape, stronger views with
stored answers, losses, and the training's own settings, each against the same base by the
validation images.

5,000 images of validation, the test set left alone; equal passes. A row that was finished, or
begun, goes on from the cache.

    python -m benchmarks.views [--rows "as it is" ...] [--images 45000] [--epochs 16]
    python -m benchmarks.views --write views    # and record the result
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
SOFT = "{kind: soft_targets, weight: 0.9}, {kind: labels, weight: 0.1}"


def losses(*entries: str) -> tuple[str, ...]:
    """An override for what the student learns from."""
    return (f"stages.distill.losses=[{', '.join(entries)}]",)


def softened(temperature: float) -> tuple[str, ...]:
    """The same losses at another temperature."""
    soft = f"{{kind: soft_targets, weight: 0.9, temperature: {temperature:g}}}"
    return losses(soft, "{kind: labels, weight: 0.1}")


def set_to(**values: float) -> tuple[str, ...]:
    """Overrides of the training's settings."""
    return tuple(f"stages.distill.{key}={value:g}" for key, value in values.items())


def mixed(**shares: float) -> tuple[str, ...]:
    """Overrides for stronger views."""
    return tuple(f"data.augment.{key}={share:g}" for key, share in shares.items())


def blocks(each: tuple[int, int, int], *widths: int, shortcut: str = "conv") -> tuple[str, ...]:
    """Overrides for a shape: blocks and channels of the three groups."""
    return ("student.depth=null", f"student.blocks={list(each)}",
            f"student.widths={list(widths)}", f"student.shortcut={shortcut}")  # fmt: skip


BASE = (
    *blocks((0, 2, 3), 16, 32, 32), "stages.prune=null", "stages.teach.views=8",
    *set_to(learning_rate=0.2),
)  # fmt: skip
AS_IT_WAS = set_to(learning_rate=0.1)
ROWS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "learning rate 0.1": AS_IT_WAS,
    "learning rate 0.4": set_to(learning_rate=0.4),
    "learning rate 0.1, weight decay 1e-4": set_to(learning_rate=0.1, weight_decay=1e-4),
    "weight decay 1e-3": set_to(weight_decay=1e-3),
    "rate 0.1, no shortcut": (*blocks((0, 2, 3), 16, 32, 32, shortcut="none"), *AS_IT_WAS),
    "rate 0.1, blocks 0, 4, 4 of 16, 16, 32": (*blocks((0, 4, 4), 16, 16, 32), *AS_IT_WAS),
    "rate 0.1, blocks 1, 2, 2 of 16, 16, 48, no shortcut": (
        *blocks((1, 2, 2), 16, 16, 48, shortcut="none"), *AS_IT_WAS,
    ),
    "rate 0.1, ResNet-8": (
        "student.blocks=null", "student.depth=8", "student.widths=[16, 32, 64]", *AS_IT_WAS,
    ),
    "rate 0.1, ResNet-8, no shortcut": (
        *blocks((1, 1, 1), 16, 32, 64, shortcut="none"), *AS_IT_WAS,
    ),
    "cutmix 0.5": mixed(cutmix=0.5),
    "mixup 0.5": mixed(mixup=0.5),
    "mixup 0.25, cutmix 0.25": mixed(mixup=0.25, cutmix=0.25),
    "randaugment 1": mixed(randaugment=1),
    "cutmix 0.5, randaugment 1": mixed(cutmix=0.5, randaugment=1),
    "hints": losses(SOFT, "{kind: hints, weight: 1}"),
    "temperature 2": softened(2),
    "temperature 8": softened(8),
    "answers alone": losses("{kind: soft_targets}"),
    "average of weights, 0.99": set_to(ema=0.99),
    "4 views": ("stages.teach.views=4",),
    "16 views": ("stages.teach.views=16",),
    "labels alone": losses("{kind: labels}"),
    "labels alone, cutmix 0.5": (*mixed(cutmix=0.5), *losses("{kind: labels}")),
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
    parser.add_argument("--images", type=int, default=45_000, help="to train on")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--epochs", type=float, default=16)
    parser.add_argument("--cache", type=Path, default=default_root())
    parser.add_argument("--write", metavar="NAME", help="record the result under this name")
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
            wanted.write, rows, seeds=wanted.seeds, epochs=wanted.epochs, of="validation",
            data=f"CIFAR-10, JPEG copy, {wanted.images} images, {JUDGED} of validation",
        )  # fmt: skip


if __name__ == "__main__":
    main()
