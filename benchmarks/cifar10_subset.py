"""The CIFAR-10 recipe on a part of the images, over seeds and for equal passes: beside what it was
(`cifar10_pruned.yaml`), and beside its own student, quantized as it is, from the labels alone.

Judged are LiteRT's int8 files on the test images; instructions are counted on an emulated
Cortex-A76.

    python -m benchmarks.cifar10_subset [--seeds 0 1 2] [--limit 10000] [--epochs 75] [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cifar10 import EXAMPLE, TARGET, TRIED, best, recipe
from benchmarks.common import Quiet, write
from benchmarks.sides import Sides
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.pipeline import run_until


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
    sides = Sides()
    for seed in seeds:
        common = (f"seed={seed}", f"data.limit={limit}", "contract={}")
        mine = (*common, f"stages.distill.epochs={epochs}")
        sides.take({
            "the recipe": run_until(recipe(*mine, path=EXAMPLE), TARGET, cache, Quiet(), "export"),
            "pruned, as it was": pruned(cache, epochs, *common),
            "its student from labels": of_labels(cache, *mine),
        })  # fmt: skip
    rows = sides.rows(cache.root)
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
