"""What each way of distilling is worth, on a part of CIFAR-10, beside labels alone.

Every row is the recipe of `cifar10_pruned.yaml` with a ResNet-8 student, neither pruned nor
quantized, 10,000 training images and the same number of student image-passes; only `losses` (and
for some rows the teacher's store, the peers or the assistant) differ. Accuracies are of the test
set, in float. Settings of each way are its paper's, or were chosen on validation with seed 100.

    python -m benchmarks.distillation [--seeds 0 1 2] [--only NAME ...] [--cache DIR]
    python -m benchmarks.distillation --tune [NAME ...]

Rows that are there already are not trained again. With OMP_NUM_THREADS=1, two of these on two
cores, with seeds or names apart, train nearly twice as fast.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import RESULTS, Quiet, mean_and_std, write
from edgedistill.artifact import Artifact, write_json
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.models import load
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, torch_predictor
from edgedistill.tasks.audit import agreement
from edgedistill.tasks.classification import accuracy

EPOCHS = 16
LIMIT = 10_000
TRIAL = (
    "seed=100", f"stages.distill.epochs={EPOCHS // 2}", f"data.limit={LIMIT + 2000}",
    f"data.validation={2000 / (LIMIT + 2000)}",
)  # fmt: skip
COMMON = (
    f"data.limit={LIMIT}", "student={family: resnet_cifar, depth: 8, shortcut: conv}",
    "stages.prune=null", "stages.quantize=null", f"stages.distill.epochs={EPOCHS}", "contract={}",
    "stages.teach.views=8",
    # The best on validation: for labels only of 0.1, 0.3, 1 and 2, for soft targets of the first 3.
    "stages.distill.learning_rate=1",
)  # fmt: skip
LABELS = "{kind: labels, weight: 0.1}"


def losses(*kinds: str) -> str:
    return f"stages.distill.losses=[{', '.join(kinds)}]"


PEER = "{family: resnet_cifar, depth: 8, shortcut: conv}"
TRIED: dict[str, tuple[str, tuple[float, ...]]] = {
    "labels only": ("{kind: labels, weight: %g}", (1, 3)),
    "soft targets": ("{kind: soft_targets, weight: 0.9, temperature: %g}", (1, 2, 4, 8)),
    "standardized soft targets": (
        "{kind: soft_targets, weight: %g, temperature: 2, standardize: true}", (1, 2, 4, 9),
    ),
    "decoupled": ("{kind: decoupled, weight: %g, alpha: 1, beta: 2}", (0.03, 0.1, 0.3)),
    "hints": ("{kind: hints, weight: %g}", (0.1, 0.5, 2, 8)),
    "attention": ("{kind: attention, weight: %g}", (10, 30, 100)),
    "relations": ("{kind: relations, weight: %g}", (0.1, 1, 10)),
    "similarity": ("{kind: similarity, weight: %g}", (30, 300, 3000)),
    "exits (self)": ("{kind: exits, weight: %g}", (0.1, 0.3, 1)),
}  # fmt: skip
"""Loss of a way and what of it is tried: `--tune` does, in runs half as long with another seed,
and validates on 2,000 other images."""
CHOSEN = {
    "labels only": 1, "soft targets": 2, "standardized soft targets": 4, "decoupled": 0.1,
    "hints": 2, "attention": 10, "relations": 1, "similarity": 300, "exits (self)": 0.3,
}  # fmt: skip
TUNED = {name: TRIED[name][0] % value for name, value in CHOSEN.items()}
SOFT, HARD = TUNED["soft targets"], TUNED["labels only"]
MUTUAL = f"{{kind: peers, weight: {CHOSEN['labels only']}}}"


def beside(name: str, kind: str) -> str:
    """The losses of a way: its own, and the labels that it is added to."""
    if name == "labels only":
        return losses(kind)
    # What answers a teacher gives comes with a few labels, what its layers do is added to them.
    return losses(kind, LABELS if "soft" in name or name == "decoupled" else HARD)


WAYS: dict[str, tuple[str, ...]] = {
    **{name: (beside(name, kind),) for name, kind in TUNED.items()},
    "soft targets, no labels": (losses(SOFT),),
    "peers (online)": (
        # Each of the two students passes as often as the others' one.
        losses(MUTUAL, HARD), f"stages.distill.peers=[{PEER}]",
    ),
    "a teacher that trains along (online)": (
        losses(MUTUAL, HARD),
        "stages.distill.peers=[{family: resnet_cifar, depth: 20}]",
        f"stages.distill.peer_losses=[{HARD}]",
    ),
    "assistant": (losses(SOFT, LABELS), "assistants=[{family: resnet_cifar, depth: 20}]"),
    "born again": (losses(SOFT, LABELS), f"assistants=[{PEER}]"),
    # On validation better than hints with soft targets, whichever weighed more.
    "hints, relations": (losses(HARD, TUNED["hints"], TUNED["relations"]),),
    "soft targets, kept in float16": (losses(SOFT, LABELS), "stages.teach.keep=half"),
    "soft targets, top 3 kept": (
        losses(SOFT, LABELS), "stages.teach.keep=top_k", "stages.teach.top_k=3",
    ),
    "soft targets, errors to labels": (losses(SOFT, LABELS), "stages.judge.wrong=labels"),
}  # fmt: skip


def tune(names: list[str], cache: Cache) -> None:
    """Print what each way reaches on validation with each of its settings."""
    for name in names:
        kind, values = TRIED[name]
        for value in values:
            wanted = recipe(*COMMON, *TRIAL, beside(name, kind % value))
            made = run_until(wanted, TARGET, cache, Quiet(), last="distill")
            reached = made["distill"].metrics["validation_quality"]
            print(f"{name} at {value:g}: {reached:.2f} % on validation", flush=True)


def train_one(name: str, seed: int, cache: Cache) -> dict[str, Any]:
    """The figures of one way with one seed; kept beside the cache, so that they outlive a kill."""
    kept = cache.root / "benchmarks" / "distillation" / f"{name.replace(' ', '-')}-{seed}.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    wanted = recipe(*COMMON, f"seed={seed}", *WAYS[name])
    made = run_until(wanted, TARGET, cache, Quiet(), last="distill")
    found = {
        **tested(made),
        "samples_seen": made["distill"].metrics["samples_seen"],
        "images_per_second": made["distill"].metrics["images_per_second"],
        "settings": [loss.model_dump() for loss in wanted.stages.distill.losses],
    }
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, found)
    return found


def tested(made: dict[str, Artifact]) -> dict[str, float]:
    """Accuracy on the test set, and the share of the teacher's errors there that were copied, in
    percent."""
    split = open_split(made["data"].path, "test")
    student, teacher = (
        logits_of(torch_predictor(load(made[name].file("model"))), split)
        for name in ("distill", "teacher")
    )
    copied = agreement(student, teacher, split.labels).copied_error_share
    return {"accuracy": accuracy(student, split.labels), "copied_errors": 100.0 * copied}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--tune", nargs="*", choices=list(TRIED))
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    cache = Cache(wanted.cache, print)
    if wanted.tune is not None:
        tune(wanted.tune or list(TRIED), cache)
        return
    for name in wanted.only:
        for seed in wanted.seeds:
            found = train_one(name, seed, cache)
            print(f"{name}, seed {seed}: {found['accuracy']:.2f} %", flush=True)
    if list(wanted.only) != list(WAYS):
        return
    write("distillation", rows(wanted.seeds, cache), seeds=wanted.seeds,
          data=f"CIFAR-10, JPEG copy, {LIMIT} training images", epochs=EPOCHS,
          student="ResNet-8", teacher="ResNet-56")  # fmt: skip
    print(f"wrote {RESULTS / 'distillation.json'}")


def rows(seeds: list[int], cache: Cache) -> list[dict[str, Any]]:
    made = []
    base: tuple[float, float] | None = None
    for name in WAYS:
        each = [train_one(name, seed, cache) for seed in seeds]
        mean, std = mean_and_std([one["accuracy"] for one in each])
        copied, copied_std = mean_and_std([one["copied_errors"] for one in each])
        base = base or (mean, std)
        made.append(
            {
                "name": name,
                "accuracy_mean": mean,
                "accuracy_std": std,
                "gain": mean - base[0],
                # Of the difference of two means, so that a way is not praised for its luck.
                "deviations": (mean - base[0]) / max((std**2 + base[1] ** 2) ** 0.5, 1e-9),
                "copied_errors_mean": copied,
                "copied_errors_std": copied_std,
                "samples_seen": each[0]["samples_seen"],
                "samples": [one["accuracy"] for one in each],
                "settings": each[0]["settings"],
            }
        )
    return made


if __name__ == "__main__":
    main()
