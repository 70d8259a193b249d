"""Channels in the multiples that kernels compute in, beside finer ones, at like cost.

The CIFAR-10 recipe's student (`examples/cifar10.yaml`, ResNet-14) on 10,000 training images, pruned
for android-arm64, whose int8 kernels compute 16 output channels at once: as before, in multiples of
8 to 12.4 M multiply-accumulates; in multiples of 16 to the padded multiply-accumulates that this
one came to (equal work), and to the least that multiples of 16 reach from there, which is nearest
to equal MACs. Beside them ResNet-8, never cut. All learn from the same teacher and for as many
image-passes. Accuracy is that of the float model on the 10,000 test images.

    python -m benchmarks.multiples --cache DIR [--seeds 0 1 2]    # resumable; rows go to a log
    python -m benchmarks.multiples --cache DIR --record           # the log into the result file
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import Quiet, mean_and_std, write
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache
from edgedistill.data import open_split
from edgedistill.models import load
from edgedistill.models.work import padded_of
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, torch_predictor
from edgedistill.tasks.classification import accuracy

IMAGES, DISTILL, BETWEEN, RECOVER = 10_000, 4, 0.5, 2.5
LEAST = 13.1
"""Millions of padded multiply-accumulates; ResNet-14 in multiples of 16 comes to 13.06."""
OLD = "multiples of 8, to 12.4 M MACs"
EQUAL = "multiples of 16, to the padded MACs of the first"
NEAR = "multiples of 16, to the least MACs they reach"
UNCUT = "ResNet-8, uncut"
PHONE = TARGET.model_copy(update={"runtimes": ("litert",)})


def arm(cache: Cache, seed: int, *overrides: str) -> dict[str, Artifact]:
    """A student of the recipe; nothing is quantized."""
    return run_until(
        recipe(
            f"seed={seed}", f"data.limit={IMAGES}", "contract={}", "stages.teach.views=2",
            f"stages.distill.epochs={DISTILL}", "stages.quantize=null",
            "stages.export.precisions=[fp32]", *overrides,
        ),
        PHONE, cache, Quiet(), last="distill" if "stages.prune=null" in overrides else "prune",
    )  # fmt: skip


def pruned(cache: Cache, seed: int, *overrides: str) -> dict[str, Artifact]:
    return arm(
        cache, seed, "stages.prune.rounds=2", f"stages.prune.epochs_between={BETWEEN}",
        f"stages.prune.epochs={RECOVER}", "stages.prune.max_drop=100", *overrides,
    )  # fmt: skip


def measured(name: str, seed: int, made: dict[str, Artifact]) -> dict[str, Any]:
    stage = "prune" if "prune" in made else "distill"
    split, metrics = open_split(made["data"].path, "test"), made[stage].metrics
    model = load(made[stage].file("model"))
    assert PHONE.kernel is not None
    return {
        "name": name,
        "seed": seed,
        "macs": metrics["macs"],
        "padded_macs": padded_of(metrics["products"], PHONE.kernel) / 1e6,
        "params": metrics["params"],
        "samples_seen": sum(
            made[each].metrics["samples_seen"] for each in ("distill", "prune") if each in made
        ),
        "accuracy": accuracy(logits_of(torch_predictor(model), split), split.labels),
    }


def rows_of(cache: Cache, seed: int, done: set[str]) -> Any:
    """A row for each arm, as soon as it is there."""
    old = measured(OLD, seed, pruned(cache, seed, "stages.prune.round_to=8"))
    yield old
    # The padded MACs of the first are between two costs that multiples of 16 can have.
    goals = {EQUAL: old["padded_macs"], NEAR: LEAST}
    for name, goal in goals.items():
        if name not in done:
            made = pruned(cache, seed, "stages.prune.round_to=16", "stages.prune.macs=null",
                          f"stages.prune.padded_macs={goal}")  # fmt: skip
            yield measured(name, seed, made)
    if UNCUT not in done:
        epochs = DISTILL + BETWEEN + RECOVER
        yield measured(UNCUT, seed, arm(cache, seed, "stages.prune=null", "student.depth=8",
                                        f"stages.distill.epochs={epochs}"))  # fmt: skip


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def record(rows: list[dict[str, Any]]) -> None:
    """The result file: of each arm the mean and deviation over seeds, and every run."""
    found = []
    for name in (OLD, EQUAL, NEAR, UNCUT):
        runs = [row for row in rows if row["name"] == name]
        mean, deviation = mean_and_std([row["accuracy"] for row in runs])
        costs = {
            key: mean_and_std([row[key] for row in runs])[0]
            for key in ("macs", "padded_macs", "params", "samples_seen")
        }
        found.append({"name": name, **costs, "accuracy_mean": mean, "accuracy_std": deviation,
                      "samples": runs})  # fmt: skip
    write(
        "multiples", found, seeds=sorted({row["seed"] for row in rows}),
        data=f"CIFAR-10, JPEG copy, {IMAGES} training images", target=PHONE.name,
        kernel=PHONE.kernel.model_dump() if PHONE.kernel else None,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--record", action="store_true")
    wanted = parser.parse_args()
    log = wanted.cache.parent / f"{wanted.cache.name}-multiples.jsonl"
    if wanted.record:
        record(read(log))
        return
    for seed in wanted.seeds:
        done = {row["name"] for row in read(log) if row["seed"] == seed}
        for row in rows_of(Cache(wanted.cache, print), seed, done):
            if row["name"] not in done:
                with log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)


if __name__ == "__main__":
    main()
