"""ExecuTorch's files beside those of the other runtimes: one graph, one test set, one run.

A student is compiled for LiteRT, ONNX Runtime and OpenVINO, and its programs are written for
ExecuTorch too. What is told: how far each file is from the torch graph on the whole test set, and
its latency on one thread of this machine as a ratio to LiteRT's of the same precision: both files
in turn at every inference, apart from the others, whose threads would disturb them.

    pip install 'edgedistill[executorch]'
    python -m benchmarks.executorch_side [--cache DIR] [--latency]

`--latency` measures ExecuTorch's latency alone anew, and keeps what else was recorded.

CIFAR-10 is shortened: what is compared is files of one student, however good it is.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cifar10 import recipe as cifar10
from benchmarks.common import RESULTS, Quiet, write
from edgedistill import program_file
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import Split, open_split
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, task_of
from edgedistill.program import MAIN
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.records import ExportRecord, VerifyRecord
from edgedistill.runtimes import RUNTIMES, Spec, parity, runtime_of, size_of
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
        for runtime, path in paths.items():
            found.append(
                {
                    "name": recipe.name, "runtime": runtime, "precision": precision,
                    "images": len(split), **told[runtime], "size_kb": size_of(path) / 1e3,
                    **({} if runtime == "litert" else latency(paths["litert"], path, split)),
                }
            )  # fmt: skip
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


def latency(litert: Path, other: Path, split: Split) -> dict[str, float]:
    """Medians of one image on one thread, ms, and their ratio; and that of the fastest tenth, which
    a machine with other work disturbs less. Both files in turn, image by image."""
    loaded = [runtime_of(path).load(path) for path in (litert, other)]
    fed = [[each.encode(split.inputs(np.array([place]))) for place in range(32)] for each in loaded]
    samples: list[list[float]] = [[], []]
    for run in range(RUNS + 50):
        for each, inputs, times in zip(loaded, fed, samples, strict=True):
            begun = time.perf_counter()
            each.run(inputs[run % 32])
            times.append(1e3 * (time.perf_counter() - begun))
    ours, theirs = (np.array(each[50:]) for each in samples)
    return {
        "p50_ms": float(np.median(theirs)),
        "litert_p50_ms": float(np.median(ours)),
        "of_litert": float(np.median(theirs) / np.median(ours)),
        "of_litert_p10": float(np.quantile(theirs, 0.1) / np.quantile(ours, 0.1)),
    }


def again(recipe: Recipe, cache: Cache, folder: Path) -> dict[tuple[str, str], dict[str, float]]:
    """ExecuTorch's latency by recipe and precision."""
    made = run_until(recipe, TARGET, cache, Quiet(), last="export")
    split, found = open_split(made["data"].path, "test"), {}
    for precision in PRECISIONS:
        path = folder / f"{recipe.name}.{precision}.pte"
        kind = "int8" if precision == "int8" else "float"
        program = program_file.load(program_file.place(made["quantize"].path, MAIN, kind))
        RUNTIMES["executorch"].write(program, path, Spec(precision, tuple(map(str, range(10)))))
        litert = made["export"].file("files") / f"{recipe.name}.{precision}.tflite"
        found[recipe.name, precision] = latency(litert, path, split)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_root())
    parser.add_argument("--latency", action="store_true")
    asked = parser.parse_args()
    cache = Cache(asked.cache, print)
    recipes = load_recipe(DIGITS, []), cifar10(*SHORT)
    with scratch_folder() as folder:
        if asked.latency:
            found = json.loads((RESULTS / "executorch_side.json").read_text())["rows"]
            times = {key: value for recipe in recipes
                     for key, value in again(recipe, cache, folder).items()}  # fmt: skip
            for row in found:
                for figure in ("p50_ms", "of_litert"):
                    row.pop(figure, None)
                if row["runtime"] == "executorch":
                    row |= times[row["name"], row["precision"]]
        else:
            found = [row for recipe in recipes for row in rows(recipe, cache, folder)]
    for each in found:
        print({key: value for key, value in each.items() if value is not None}, flush=True)
    write("executorch_side", found, seeds=[0], threads=1, runs=RUNS, cifar10_shortened=SHORT)


if __name__ == "__main__":
    main()
