"""Pruning by what the device takes, beside pruning by multiply-accumulates, at equal cost.

The CIFAR-10 recipe's student (`cifar10_pruned.yaml`, ResNet-14), distilled once for each seed and
then pruned twice from the same weights: to so many multiply-accumulates, in the blocks of 8 that
the recipe takes; and to what the device takes for that one, in the same blocks, of which it takes
those that pay. Both recover for as many passes from the same teacher. Accuracy is that of the float
model on the 10,000 test images; what is gained is given with its 95 % interval over the seeds
(Student's t, paired).

Counted is by the target's padded multiply-accumulates (`--by padded_macs`), or by the price list of
its device (`--by cost`).

    python -m benchmarks.prune_by_cost --cache DIR [--seeds 0 1 2] [--images 10000] [--macs 9]
        [--distill 4] [--between 0.5] [--recover 2.5] [--by cost --device emulator:cortex-a76]
    python -m benchmarks.prune_by_cost --cache DIR --record    # the log into the result file
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

from scipy.stats import t as student_t

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import Quiet, mean_and_std, write
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache
from edgedistill.compress.cost import MACS, PARAMS, Figure, measure, padded, priced
from edgedistill.costs import PriceSource
from edgedistill.data import open_split
from edgedistill.models import load
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, torch_predictor
from edgedistill.records import DataRecord
from edgedistill.signature import blank
from edgedistill.target import Target
from edgedistill.tasks.classification import accuracy

BY_MACS, BY_COST = "by MACs", "by cost"


def figure_of(wanted: argparse.Namespace, target: Target) -> Figure:
    """What both are held equal in."""
    if wanted.by == "padded_macs":
        return padded(target.known_kernel)
    # No file of integers is exported here, so that the recipe's own goal is in float32.
    return priced(PriceSource.of(target, "fp32").open(wanted.cache, print))


def pruned(wanted: argparse.Namespace, target: Target, seed: int, goal: str) -> dict[str, Artifact]:
    return run_until(
        recipe(
            f"seed={seed}", f"data.limit={wanted.images}", "contract={}",
            f"stages.teach.views={wanted.views}", f"stages.distill.epochs={wanted.distill}",
            "stages.prune.params=null", "stages.prune.macs=null", "stages.prune.round_to=8",
            f"stages.prune.rounds={wanted.rounds}", "stages.prune.max_drop=100",
            f"stages.prune.epochs_between={wanted.between}",
            f"stages.prune.epochs={wanted.recover}",
            f"stages.prune.importance={wanted.importance}", goal,
            "stages.quantize=null", "stages.export.precisions=[fp32]",
        ),
        target, Cache(wanted.cache, print), Quiet(), last="prune",
    )  # fmt: skip


def measured(name: str, seed: int, figure: Figure, made: dict[str, Artifact]) -> dict[str, Any]:
    split = open_split(made["data"].path, "test")
    model = load(made["prune"].file("model"))
    (example,) = blank(DataRecord.read(made["data"]).inputs)
    costs = measure(model, example, (MACS, PARAMS, figure))
    return {
        "name": name,
        "seed": seed,
        "cost": costs[figure] / figure.per,
        "unit": figure.unit,
        "macs": costs[MACS] / MACS.per,
        "params": costs[PARAMS] / PARAMS.per,
        "samples_seen": sum(made[each].metrics["samples_seen"] for each in ("distill", "prune")),
        "accuracy": accuracy(logits_of(torch_predictor(model), split), split.labels),
    }


def both(wanted: argparse.Namespace, target: Target, seed: int) -> list[dict[str, Any]]:
    """By MACs, then by cost to what that one came to."""
    figure = figure_of(wanted, target)
    first = pruned(wanted, target, seed, f"stages.prune.macs={wanted.macs}")
    old = measured(BY_MACS, seed, figure, first)
    second = pruned(wanted, target, seed, f"stages.prune.{wanted.by}={old['cost']}")
    return [old, measured(BY_COST, seed, figure, second)]


def interval(values: list[float]) -> tuple[float, float]:
    """The mean's 95 % interval."""
    mean, count = statistics.fmean(values), len(values)
    if count < 2:
        return -math.inf, math.inf
    half = float(student_t.ppf(0.975, count - 1)) * statistics.stdev(values) / math.sqrt(count)
    return mean - half, mean + half


def record(rows: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    """The result file: of each arm the mean and deviation over seeds, what is gained, every run."""
    found: list[dict[str, Any]] = []
    for name in (BY_MACS, BY_COST):
        runs = [row for row in rows if row["name"] == name]
        means = {key: mean_and_std([row[key] for row in runs])[0]
                 for key in ("cost", "macs", "params", "samples_seen")}  # fmt: skip
        mean, deviation = mean_and_std([row["accuracy"] for row in runs])
        found.append({"name": name, "unit": runs[0]["unit"], **means, "accuracy_mean": mean,
                      "accuracy_std": deviation, "samples": runs})  # fmt: skip
    old, new = ({row["seed"]: row["accuracy"] for row in each["samples"]} for each in found)
    gained = [new[seed] - old[seed] for seed in sorted(old.keys() & new.keys())]
    low, high = interval(gained)
    mean = round(statistics.fmean(gained), 6) + 0.0  # never -0
    found[1] |= {"gained": mean, "gained_low": low, "gained_high": high}
    write(
        f"prune_by_{settings['by']}", found, seeds=sorted(old), settings=settings,
        data=f"CIFAR-10, JPEG copy, {settings['images']} images",
    )  # fmt: skip
    print(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--by", choices=["padded_macs", "cost"], default="padded_macs")
    parser.add_argument("--device", help="whose price list counts; by default the target's own")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--macs", type=float, default=9.0)
    parser.add_argument("--importance", default="hessian")
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--distill", type=float, default=4)
    parser.add_argument("--between", type=float, default=0.5)
    parser.add_argument("--recover", type=float, default=2.5)
    parser.add_argument("--record", action="store_true")
    wanted = parser.parse_args()
    log = wanted.cache.parent / f"{wanted.cache.name}-prune-by-cost.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    settings = {key: value for key, value in vars(wanted).items()
                if key not in ("cache", "record", "seeds")}  # fmt: skip
    if wanted.record:
        record(rows, rows[0]["settings"])
        return
    target = TARGET.model_copy(
        update={"runtimes": ("litert",), "device": wanted.device or TARGET.device}
    )
    for seed in wanted.seeds:
        if any(row["seed"] == seed for row in rows):
            continue
        for row in both(wanted, target, seed):
            with log.open("a") as file:
                file.write(json.dumps({**row, "settings": settings}) + "\n")
            print(row, flush=True)


if __name__ == "__main__":
    main()
