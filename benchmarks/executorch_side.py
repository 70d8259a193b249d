"""ExecuTorch's files beside those of the other runtimes: one graph, one test set, one run.

A student is compiled for a target that has all four runtimes; what is told are that compile's own
figures: how far each file is from the torch graph on the whole test set, and its latency on this
machine, measured in turn with the others', with its ratio to LiteRT's of the same precision.

    pip install 'edgedistill[executorch]'
    python -m benchmarks.executorch_side [--cache DIR]

CIFAR-10 is shortened: what is compared is files of one student, however good it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import recipe as cifar10
from benchmarks.common import Quiet, write
from edgedistill.cache import Cache, default_root
from edgedistill.pipeline import run_until
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.records import MeasurementsRecord, VerifyRecord
from edgedistill.target import load_target

DIGITS = Path(__file__).parents[1] / "examples" / "digits.yaml"
RUNTIMES = ("litert", "onnxruntime", "openvino", "executorch")
TARGET = load_target("android-arm64").model_copy(
    update={"runtimes": RUNTIMES, "precisions": ("fp32", "int8")}
)
SHORT = (
    "data.limit=10000", "stages.teach.views=2", "stages.distill.epochs=5",
    "stages.prune.epochs=4", "stages.prune.rounds=1", "stages.prune.max_drop=100",
    "stages.quantize.epochs=1", "contract={}",
)  # fmt: skip


def rows(recipe: Recipe, cache: Cache) -> list[dict[str, Any]]:
    made = run_until(recipe, TARGET, cache, Quiet(), last="benchmark")
    verified = VerifyRecord.read(made["verify"])
    measured = {each.file: each for each in MeasurementsRecord.read(made["benchmark"]).rows}
    by_litert = {
        each.precision: measured[each.file].p50_ms
        for each in verified.rows
        if each.runtime == "litert"
    }
    return [
        {
            "name": recipe.name,
            "runtime": each.runtime,
            "precision": each.precision,
            "images": verified.test_samples,
            "accuracy": each.quality,
            "agreement": each.agreement,
            "max_difference": each.max_difference,
            "within_step": each.within_step,
            "mean_steps": each.mean_steps,
            "max_steps": each.max_steps,
            "missed": list(each.missed),
            "size_kb": (made["export"].file("files") / each.file).stat().st_size / 1e3,
            "p50_ms": measured[each.file].p50_ms,
            "of_litert": measured[each.file].p50_ms / by_litert[each.precision],
        }
        for each in verified.rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_root())
    cache = Cache(parser.parse_args().cache, print)
    found = [*rows(load_recipe(DIGITS, []), cache), *rows(cifar10(*SHORT), cache)]
    for each in found:
        print({key: value for key, value in each.items() if value is not None})
    write("executorch_side", found, seeds=[0], threads=TARGET.threads, cifar10_shortened=SHORT)


if __name__ == "__main__":
    main()
