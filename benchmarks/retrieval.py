"""Images and captions in one space: a small student with and without its teacher's similarities.

A dual encoder (ResNet-20 and a text transformer) is trained here on 10,000 images of CIFAR-10 and
their class captions; ResNet-8 students learn from the captions alone, or keep the teacher's
similarities to them, for the same image-passes. Test set, float, over seeds.

    python -m benchmarks.retrieval [--seeds 0 1 2] [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import Quiet, mean_and_std, write
from benchmarks.distillation import COMMON, LIMIT, losses
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.models import load
from edgedistill.pipeline import run_until
from edgedistill.tasks.predict import logits_of, read_texts, torch_predictor

TEACHER = (
    "{family: dual_encoder, image: {family: resnet_cifar, depth: 20}, embedding: 64}",
    "{epochs: 16, optimizer: adamw, learning_rate: 0.002, weight_decay: 0.01}",
)
WAYS = {
    "captions only": losses("{kind: labels}"),
    "the teacher's similarities": losses(
        "{kind: soft_targets, weight: 0.9, temperature: 2}", "{kind: labels, weight: 0.1}"
    ),
    "the teacher's similarities, and between images": losses(
        "{kind: soft_targets, weight: 0.9, temperature: 2}", "{kind: labels, weight: 0.1}",
        "{kind: similarity, of: logits, weight: 100}",
    ),
}  # fmt: skip


def figures(made: dict[str, Artifact], stage: str) -> dict[str, float]:
    split, texts = open_split(made["data"].path, "test"), read_texts(made["teacher"])
    images = logits_of(torch_predictor(load(made[stage].file("model"))), split)
    return {
        "recall_at_1": texts.recall(images, split.labels),
        "recall_at_5": texts.recall(images, split.labels, 5),
        "precision_at_10": texts.precision(images, split.labels),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    cache = Cache(wanted.cache, print)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in wanted.seeds:
        for way, kinds in WAYS.items():
            made = run_until(
                recipe(*COMMON, "task=retrieval", f"teacher={TEACHER[0]}",
                       f"stages.teacher.train={TEACHER[1]}", kinds, f"seed={seed}"),
                TARGET, cache, Quiet(), last="distill",
            )  # fmt: skip
            if not len(found.get("teacher", [])) > wanted.seeds.index(seed):
                found.setdefault("teacher", []).append(figures(made, "teacher"))
            found.setdefault(way, []).append(figures(made, "distill"))
            print(f"seed {seed}: {way}: {found[way][-1]}", flush=True)
    rows: list[dict[str, Any]] = []
    for name, each in found.items():
        row: dict[str, Any] = {"name": name, "samples": each}
        for key in each[0]:
            row[f"{key}_mean"], row[f"{key}_std"] = mean_and_std([one[key] for one in each])
        rows.append(row)
    write("retrieval", rows, seeds=wanted.seeds, student="ResNet-8", teacher="ResNet-20 and texts",
          data=f"CIFAR-10, JPEG copy, {LIMIT} training images")  # fmt: skip


if __name__ == "__main__":
    main()
