"""ExecuTorch's files beside those of the other runtimes: one graph, one test set, one run.

A student is compiled for LiteRT, ONNX Runtime and OpenVINO, and its programs are written for
ExecuTorch too. What is told: how far each file is from the torch graph on the whole test set, and
its latency on one thread of this machine, all files in turn at every inference, with its ratio to
LiteRT's of the same precision.

    pip install 'edgedistill[executorch]'
    python -m benchmarks.executorch_side [--cache DIR]

CIFAR-10 is shortened: what is compared is files of one student, however good it is.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cifar10 import recipe as cifar10
from benchmarks.common import Quiet, write
from edgedistill import program_file
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import Split, open_split
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, task_of
from edgedistill.program import MAIN
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.records import ExportRecord, VerifyRecord
from edgedistill.runtimes import RUNTIMES, Spec, parity
from edgedistill.runtimes.program import fold_weights, output_scale
from edgedistill.scratch import scratch_folder
from edgedistill.target import Precision, load_target

DIGITS = Path(__file__).parents[1] / "examples" / "digits.yaml"
TARGET = load_target("android-arm64")
SHORT = (
    "data.limit=10000", "stages.teach.views=2", "stages.distill.epochs=5",
    "stages.prune.epochs=4", "stages.prune.rounds=1", "stages.prune.max_drop=100",
    "stages.quantize.epochs=1", "contract={}",
)  # fmt: skip
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
RUNS = 1000
"""Inferences of each file."""


def rows(recipe: Recipe, cache: Cache, folder: Path) -> list[dict[str, Any]]:
    made = run_until(recipe, TARGET, cache, Quiet(), last="verify")
    files = made["export"].file("files")
    split = open_split(made["data"].path, "test")
    found = []
    for precision in PRECISIONS:
        entries = [each for each in ExportRecord.read(made["export"]).main
                   if each.precision == precision]  # fmt: skip
        paths = {each.runtime: files / each.file for each in entries}
        verified = {each.file: each for each in VerifyRecord.read(made["verify"]).rows}
        told = {each.runtime: _told(vars(verified[each.file])) for each in entries}
        paths["executorch"] = folder / f"{recipe.name}.{precision}.pte"
        told["executorch"] = _executorch(recipe, made, split, paths["executorch"], precision)
        times = latencies(paths, split)
        found += [
            {
                "name": recipe.name, "runtime": runtime, "precision": precision,
                "images": len(split), **told[runtime], "size_kb": path.stat().st_size / 1e3,
                "p50_ms": times[runtime], "of_litert": times[runtime] / times["litert"],
            }
            for runtime, path in paths.items()
        ]  # fmt: skip
    return found


def _executorch(
    recipe: Recipe, made: dict[str, Artifact], split: Split, path: Path, precision: Precision
) -> dict[str, Any]:
    """Write the file, and hold it against the torch graph as `verify` does."""
    kind = "int8" if precision == "int8" else "float"
    program = program_file.load(program_file.place(made["quantize"].path, MAIN, kind))
    runtime, task = RUNTIMES["executorch"], task_of(made)
    runtime.write(program, path, Spec(precision, tuple(map(str, range(10)))))
    look = runtime.inspect(path)
    logits = logits_of(runtime.load(path), split)
    reference = np.load(made["verify"].file("logits.npz"))[kind]
    step = output_scale(fold_weights(program)) if kind == "int8" else None
    same = parity.compare(logits, reference, step, task.agreement)
    quality, of_graph = task.quality(logits, split.labels), task.quality(reference, split.labels)
    missed = parity.misses(
        same, abs(quality - of_graph), "executorch", precision, recipe.stages.verify
    )
    outside = [row.type for row in runtime.load(path).operators() if row.where != "XNNPACK"]
    return {
        **_told({**vars(same), "quality": quality, "missed": missed}),
        "operators": look["executed"], "in_float": look["float_counts"], "outside": outside,
    }  # fmt: skip


def _told(row: dict[str, Any]) -> dict[str, Any]:
    keys = ("quality", "agreement", "max_difference", "within_step", "mean_steps", "max_steps")
    return {**{key: row[key] for key in keys}, "missed": list(row["missed"])}


def latencies(paths: dict[str, Path], split: Split) -> dict[str, float]:
    """The median of each runtime's inferences of one image, ms: all in turn, image by image."""
    loaded = {runtime: RUNTIMES[runtime].load(path) for runtime, path in paths.items()}
    fed = {runtime: [each.encode(split.inputs(np.array([place]))) for place in range(32)]
           for runtime, each in loaded.items()}  # fmt: skip
    samples: dict[str, list[float]] = {runtime: [] for runtime in paths}
    for run in range(RUNS + 50):
        for runtime, each in loaded.items():
            begun = time.perf_counter()
            each.run(fed[runtime][run % 32])
            samples[runtime].append(time.perf_counter() - begun)
    return {runtime: 1e3 * float(np.median(each[50:])) for runtime, each in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_root())
    cache = Cache(parser.parse_args().cache, print)
    with scratch_folder() as folder:
        found = rows(load_recipe(DIGITS, []), cache, folder)
        found += rows(cifar10(*SHORT), cache, folder)
    for each in found:
        print({key: value for key, value in each.items() if value is not None}, flush=True)
    write("executorch_side", found, seeds=[0], threads=1, runs=RUNS, cifar10_shortened=SHORT)


if __name__ == "__main__":
    main()
