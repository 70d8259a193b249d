"""What `edgedistill init` chooses by itself, on three data sets: beside what it chose before, and
beside the same student from the labels alone, for as many passes.

Handwritten digits, with a teacher trained here; 3,000 small colour images (CIFAR-10's JPEG copies);
and few pictures of a class (`benchmarks.stamps` lays them out), with a pretrained teacher and
student. Judged are LiteRT's int8 files on the test images; their instructions are counted on an
emulated Cortex-A76.

    python -m benchmarks.defaults [--seeds 0 1 2] [--stamps FOLDER] [--only digits ...]
    python -m benchmarks.defaults --trial KEY=VALUE ... [--only digits ...]

The second tells what a change of init's recipe makes of its student on validation, in float. What
was done is not done again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import TARGET
from benchmarks.common import DATA, Quiet, mean_and_std, write
from benchmarks.sides import Sides
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.pipeline import run_until
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.starter import write_recipe

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL, STAMPS = "small", "stamps"
SHARES = (0.3, 1.0, 3.0)
"""Of init's learning rate: those that the labels alone are tried with, on validation, for a third
of the epochs."""


@dataclass(frozen=True)
class Case:
    """What init is given, and what it chose before of that which it chooses otherwise now."""

    data: str
    teacher: str
    weights: Path | None = None
    student: str | None = None
    student_weights: Path | None = None
    settings: tuple[str, ...] = ()
    """What the case is, beside what init writes."""
    before: tuple[str, ...] = ()


CASES = {
    "digits": Case(
        "digits", "resnet_cifar:20", before=("stages.distill.learning_rate=0.1",),
    ),
    "small images": Case(
        SMALL, "resnet_cifar:56", DATA / "teachers/resnet56_cifar10.safetensors",
        settings=("teacher.mean=[0.485, 0.456, 0.406]", "teacher.std=[0.229, 0.224, 0.225]"),
        before=("stages.distill.learning_rate=0.1",),
    ),
    "few pictures": Case(
        STAMPS, "benchmarks.defaults:teacher", EXAMPLES / "efficientnet_lite2.safetensors",
        "efficientnet_lite:efficientnet_lite", EXAMPLES / "efficientnet_lite0.safetensors",
        before=tuple(
            f"stages.{stage}.{key}"
            for stage, epochs in (("teacher.train", 5), ("distill", 20))
            for key in (f"epochs={epochs}", "freeze_batch_norm=false", "learning_rate=0.001")
        ),
    ),
}  # fmt: skip


def teacher(classes: int) -> Any:
    """EfficientNet-Lite2 of the examples."""
    sys.path.insert(0, str(EXAMPLES))
    from efficientnet_lite import efficientnet_lite

    return efficientnet_lite(classes, variant=2)


def small_images(folder: Path) -> Path:
    """CIFAR-10 with its first 3,000 training images."""
    import pyarrow.parquet

    folder.mkdir(exist_ok=True)
    for split, images in (("train", 3_000), ("test", 10_000)):
        table = pyarrow.parquet.read_table(DATA / "data" / "cifar10" / f"{split}.parquet")
        pyarrow.parquet.write_table(table.slice(0, images), folder / f"{split}.parquet")
    return folder


def recipe_of(case: Case, folder: Path, seed: int, *overrides: str) -> Recipe:
    """init's recipe, written to `folder` anew: what it chooses may have changed."""
    out = folder / "recipe.yaml"
    out.unlink(missing_ok=True)
    write_recipe(
        out, case.teacher, case.weights, case.data, TARGET.name, case.student, case.student_weights
    )  # fmt: skip
    return load_recipe(out, [f"seed={seed}", *case.settings, "contract={}", *overrides])


Made = Callable[..., dict[str, Artifact]]
"""Runs a case's recipe up to a stage, with overrides."""


def from_labels(made: Made, wanted: Recipe) -> dict[str, Artifact]:
    epochs, rate = wanted.stages.distill.epochs, wanted.stages.distill.learning_rate

    def run(share: float, epochs: float, last: str) -> dict[str, Artifact]:
        return made(
            last, "stages.distill.losses=[{kind: labels}]", f"stages.distill.epochs={epochs}",
            f"stages.distill.learning_rate={share * rate}",
        )  # fmt: skip

    scores = {
        share: run(share, epochs / 3, "distill")["distill"].metrics["validation_quality"]
        for share in SHARES
    }
    print(f"from labels, validation accuracy by share of the rate: {scores}", flush=True)
    return run(max(scores, key=lambda share: scores[share]), epochs, "export")  # type: ignore[arg-type, return-value]


def compared(name: str, case: Case, cache: Cache, folder: Path, seeds: list[int]) -> list[Any]:
    """A row for each side."""
    sides = Sides()
    for seed in seeds:

        def made(last: str, *overrides: str, seed: int = seed) -> dict[str, Artifact]:
            wanted = recipe_of(case, folder, seed, *overrides)
            return run_until(wanted, TARGET, cache, Quiet(), last)

        sides.take({
            "init's recipe": made("export"),
            "as it was": made("export", *case.before),
            "from the labels": from_labels(made, recipe_of(case, folder, seed)),
        })  # fmt: skip
    return [{**row, "name": f"{name}: {row['name']}"} for row in sides.rows(folder)]


def tried(name: str, case: Case, cache: Cache, folder: Path, asked: argparse.Namespace) -> None:
    """Print what a change makes of a student."""
    scores = [
        run_until(
            recipe_of(case, folder, seed, *asked.trial), TARGET, cache, Quiet(), "distill"
        )["distill"].metrics
        for seed in asked.seeds
    ]  # fmt: skip
    samples = [float(each["validation_quality"]) for each in scores]  # type: ignore[arg-type]
    print("tried", name, asked.trial, samples, mean_and_std(samples), scores[0]["macs"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--stamps", default="", help="the folder of few pictures")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--trial", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--cache", type=Path, default=default_root())
    asked = parser.parse_args()
    cache = Cache(asked.cache, print)
    if not all((EXAMPLES / f"efficientnet_lite{n}.safetensors").exists() for n in (0, 2)):
        subprocess.run([sys.executable, EXAMPLES / "efficientnet_lite.py"], check=True)
    sys.path.insert(0, str(EXAMPLES))
    rows = []
    for name in asked.only:
        folder = cache.root / "benchmarks" / f"defaults-{name.replace(' ', '-')}"
        folder.mkdir(parents=True, exist_ok=True)
        case = CASES[name]
        if case.data == SMALL:
            case = replace(case, data=str(small_images(folder / "images")))
        elif case.data == STAMPS:
            case = replace(case, data=asked.stamps)
        if asked.trial is not None:
            tried(name, case, cache, folder, asked)
        else:
            rows += compared(name, case, cache, folder, asked.seeds)
    if rows:
        write("defaults", rows, seeds=asked.seeds, target=TARGET.name)


if __name__ == "__main__":
    main()
