"""The CIFAR-10 recipe on a part of the images, over seeds and for equal passes: beside what it was
(`cifar10_pruned.yaml`), and beside its own student, quantized as it is, from the labels alone.

Judged are LiteRT's int8 files on the test images; instructions are counted on an emulated
Cortex-A76.

    python -m benchmarks.cifar10_subset [--seeds 0 1 2] [--limit 10000] [--epochs 75] [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import EXAMPLE, TARGET, TRIED, best, count, int8_file, passes, recipe
from benchmarks.common import Quiet, ahead, mean_and_std, write
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of
from edgedistill.runtimes import RUNTIMES


def of_labels(cache: Cache, *overrides: str) -> dict[str, Artifact]:
    """The recipe's own student and quantization, from the labels alone: with those of `SETTINGS`
    which are best on validation after `TRIED` epochs."""
    epochs = recipe(*overrides, path=EXAMPLE).stages.distill.epochs

    def made(rate: float, decay: float, epochs: float, last: str) -> dict[str, Artifact]:
        wanted = recipe(
            *overrides, "stages.distill.losses=[{kind: labels}]",
            f"stages.distill.epochs={epochs}", f"stages.distill.learning_rate={rate}",
            f"stages.distill.weight_decay={decay}", path=EXAMPLE,
        )  # fmt: skip
        return run_until(wanted, TARGET, cache, Quiet(), last)

    def tried(rate: float, decay: float) -> float:
        return float(made(rate, decay, TRIED, "distill")["distill"].metrics["validation_quality"])

    return made(*best(tried), epochs, "export")


def pruned(cache: Cache, epochs: float, *overrides: str) -> dict[str, Artifact]:
    """What the recipe was: half of the passes before the cut, and half between and behind."""
    cut = recipe().stages.prune
    assert cut
    behind = epochs / 2 - cut.rounds * cut.epochs_between
    wanted = recipe(
        *overrides, f"stages.distill.epochs={epochs / 2}", f"stages.prune.epochs={behind}",
        "stages.prune.max_drop=100",
    )  # fmt: skip
    return run_until(wanted, TARGET, cache, Quiet(), last="export")


def subset(cache: Cache, seeds: list[int], limit: int, epochs: float) -> None:
    """The recipe, the old one and the labels alone on `limit` training images, over seeds."""
    right: dict[str, list[Any]] = {}
    files: dict[str, list[Path]] = {}
    seen: dict[str, list[float]] = {}
    for seed in seeds:
        common = (f"seed={seed}", f"data.limit={limit}", "contract={}")
        mine = (*common, f"stages.distill.epochs={epochs}")
        made = {
            "the recipe": run_until(recipe(*mine, path=EXAMPLE), TARGET, cache, Quiet(), "export"),
            "pruned, as it was": pruned(cache, epochs, *common),
            "its student from labels": of_labels(cache, *mine),
        }
        for name, artifacts in made.items():
            split, path = open_split(artifacts["data"].path, "test"), int8_file(artifacts)
            found = logits_of(RUNTIMES["litert"].load(path), split).argmax(-1)
            right.setdefault(name, []).append(found == split.labels)
            files.setdefault(name, []).append(path)
            seen.setdefault(name, []).append(passes(artifacts))
            print(name, seed, 100.0 * right[name][-1].mean(), flush=True)
    rows: list[dict[str, Any]] = []
    for name, each in right.items():
        samples = [100.0 * float(one.mean()) for one in each]
        mean, std = mean_and_std(samples)
        counted = [count(path, cache.root) for path in files[name]]
        rows.append({
            "name": name, "accuracy_mean": mean, "accuracy_std": std, "samples": samples,
            **({} if name == "the recipe" else ahead(right["the recipe"], each)),
            "million_instructions": sum(counted) / len(counted) / 1e6, "instructions": counted,
            "size_kb": sum(path.stat().st_size for path in files[name]) / 1e3 / len(seeds),
            "passes": seen[name],
        })  # fmt: skip
    write("cifar10_subset", rows, seeds=seeds, epochs=epochs,
          data=f"CIFAR-10, JPEG copy, {limit} images")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=10_000, help="training images")
    parser.add_argument("--epochs", type=float, default=75, help="before quantization, each")
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    subset(Cache(wanted.cache, print), wanted.seeds, wanted.limit, wanted.epochs)


if __name__ == "__main__":
    main()
