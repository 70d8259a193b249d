"""Images and captions in one space: a small student with and without its teacher's similarities.

A dual encoder (ResNet-20 and a text transformer) is trained here on 10,000 images of CIFAR-10 and
their class captions; ResNet-8 students learn which caption is theirs, or keep the teacher's
similarities to all of them, or both, for the same image-samples_seen, each at that learning rate of
`RATES` which is best on validation after half of them. Test set, float, over seeds.

    python -m benchmarks.retrieval [--seeds 0 1 2] [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import Quiet, mean_and_std, write
from benchmarks.distillation import COMMON, LIMIT, TRIAL, losses
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.models import load
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, torch_predictor
from edgedistill.tasks.retrieval import Retrieval

RATES = (0.1, 0.3, 1.0)
TEACHER = (
    "teacher={family: dual_encoder, image: {family: resnet_cifar, depth: 20}, embedding: 64}",
    "stages.teacher.train={epochs: 16, optimizer: adamw, learning_rate: 0.002, weight_decay: 0.01}",
)
WAYS = {
    "captions only": losses("{kind: labels}"),
    "the teacher's similarities, no captions": losses("{kind: soft_targets, temperature: 2}"),
    "the teacher's similarities": losses(
        "{kind: soft_targets, weight: 0.9, temperature: 2}", "{kind: labels, weight: 0.1}"
    ),
    "the teacher's similarities, and between images": losses(
        "{kind: soft_targets, weight: 0.9, temperature: 2}", "{kind: labels, weight: 0.1}",
        "{kind: similarity, of: logits, weight: 100}",
    ),
}  # fmt: skip


def trained(way: str, rate: float, cache: Cache, *overrides: str) -> dict[str, Artifact]:
    wanted = recipe(
        *COMMON, "task=retrieval", *TEACHER, WAYS[way], f"stages.distill.learning_rate={rate}",
        *overrides,
    )  # fmt: skip
    return run_until(wanted, TARGET, cache, Quiet(), last="distill")


def best_rate(way: str, cache: Cache) -> float:
    scores = {
        rate: trained(way, rate, cache, *TRIAL)["distill"].metrics["validation_quality"]
        for rate in RATES
    }
    print(f"{way}: recall@1 on validation by learning rate: {scores}", flush=True)
    return max(scores, key=lambda rate: scores[rate])


def figures(made: dict[str, Artifact], stage: str) -> dict[str, float]:
    split = open_split(made["data"].path, "test")
    texts = Retrieval().of_teacher(made["teacher"]).texts
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
    rates = {way: best_rate(way, cache) for way in WAYS}
    found: dict[str, list[dict[str, float]]] = {"teacher": []}
    for seed in wanted.seeds:
        for way, rate in rates.items():
            made = trained(way, rate, cache, f"seed={seed}")
            found.setdefault(way, []).append(figures(made, "distill"))
            print(f"seed {seed}: {way}: {found[way][-1]}", flush=True)
        found["teacher"].append(figures(made, "teacher"))
    rows: list[dict[str, Any]] = []
    for name, each in found.items():
        row: dict[str, Any] = {"name": name, "learning_rate": rates.get(name), "samples": each}
        for key in each[0]:
            row[f"{key}_mean"], row[f"{key}_std"] = mean_and_std([one[key] for one in each])
        rows.append(row)
    write("retrieval", rows, seeds=wanted.seeds, student="ResNet-8", teacher="ResNet-20 and texts",
          data=f"CIFAR-10, JPEG copy, {LIMIT} training images")  # fmt: skip


if __name__ == "__main__":
    main()
