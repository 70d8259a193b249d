"""A few labelled images, with and without many that only the teacher can name.

500 labelled images of CIFAR-10 and 20,000 others without labels, ResNet-8, the same number of
student image-passes for each row, over seeds. The teacher was trained on the labels of all of
these images, as a stranger's images would not be: the gain is what unlabelled images are worth
with a teacher as good on them as it is on its own.

    python -m benchmarks.unlabelled [--seeds 0 1 2] [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import DATA, Quiet, mean_and_std, write
from benchmarks.distillation import COMMON, EPOCHS, LIMIT, SOFT, losses, tested
from edgedistill.cache import Cache, default_root
from edgedistill.pipeline import run_until

LABELLED, VALIDATION, UNLABELLED = 500, 125, 20_000
POOL = 10_000
"""Rows of the file that the labelled images are drawn from; the unlabelled are those after it."""
PASSES = EPOCHS * LIMIT
ALONE = losses(SOFT)
ROWS: dict[str, tuple[bool, str]] = {
    "500 labelled, labels only": (False, losses("{kind: labels}")),
    "500 labelled, teacher only": (False, ALONE),
    "500 labelled and 20,000 unlabelled, teacher only": (True, ALONE),
}
"""Whether the unlabelled are used, and the losses."""


def parted(folder: Path) -> tuple[Path, Path]:
    """A parquet file of the labelled pool, and a folder of images without labels."""
    import pyarrow.parquet

    pool, others = folder / "pool.parquet", folder / "unlabelled"
    if others.exists() and pool.exists():
        return pool, others
    table = pyarrow.parquet.read_table(DATA / "data" / "cifar10" / "train.parquet")
    others.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(table["img"].slice(POOL, UNLABELLED).to_pylist()):
        (others / f"{number:05}.jpg").write_bytes(image["bytes"])
    pyarrow.parquet.write_table(table.slice(0, POOL), pool)
    return pool, others


def accuracy(name: str, seed: int, cache: Cache) -> float:
    pool, others = parted(cache.root / "benchmarks" / "unlabelled")
    more, kinds = ROWS[name]
    images = LABELLED + UNLABELLED * more
    wanted = recipe(
        *COMMON, kinds, f"seed={seed}", f"data.train={pool}", f"data.limit={LABELLED + VALIDATION}",
        f"data.validation={VALIDATION / (LABELLED + VALIDATION)}",
        f"stages.distill.epochs={PASSES / images}",
        *([f"data.unlabelled={others}"] if more else []),
    )  # fmt: skip
    return tested(run_until(wanted, TARGET, cache, Quiet(), last="distill"))["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    cache = Cache(wanted.cache, print)
    rows = []
    for name in ROWS:
        samples = [accuracy(name, seed, cache) for seed in wanted.seeds]
        mean, std = mean_and_std(samples)
        print(f"{name}: {mean:.2f} ± {std:.2f} %", flush=True)
        rows.append({"name": name, "accuracy_mean": mean, "accuracy_std": std, "samples": samples})
    write("unlabelled", rows, seeds=wanted.seeds, passes=PASSES,
          data="CIFAR-10, JPEG copy", student="ResNet-8", teacher="ResNet-56")  # fmt: skip


if __name__ == "__main__":
    main()
