"""TFLite files in an interpreter of 2023, beside today's LiteRT: the same outputs, how fast.

    python3.11 -m venv OLD && OLD/bin/pip install tflite-runtime==2.14.0 'numpy<2'
    python -m benchmarks.old_runtime --python OLD/bin/python [--cache DIR]

The whole test set is fed to both, in the file's own numbers; LiteRT answers by the kernels that it
takes by itself (XNNPACK's) and by its reference kernels. Differences are in the output's own
numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cifar10 import recipe as cifar10
from benchmarks.common import Quiet, write
from benchmarks.executorch_side import DIGITS, SHORT, TARGET
from edgedistill.cache import Cache, default_root
from edgedistill.data import Split, open_split
from edgedistill.pipeline import run_until
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.records import ExportRecord, FileEntry
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.versions import oldest
from edgedistill.scratch import scratch_folder

SIDE = Path(__file__).parent / "old_runtime_side.py"
FEW = 500
"""Images for reference kernels, which take their time."""


def rows(recipe: Recipe, cache: Cache, python: Path) -> list[dict[str, Any]]:
    made = run_until(recipe, TARGET, cache, Quiet(), last="export")
    split = open_split(made["data"].path, "test")
    entries = [each for each in ExportRecord.read(made["export"]).main if each.runtime == "litert"]
    folder = made["export"].file("files")
    return [row(recipe.name, folder / each.file, each, split, python) for each in entries]


def row(name: str, path: Path, entry: FileEntry, split: Split, python: Path) -> dict[str, Any]:
    native = RUNTIMES["litert"].load(path).encode(split.inputs(np.arange(len(split))))
    ((_, fed),) = native.items()
    old, told = _old(path, fed, python)
    usual, ms = _now(path, fed, optimize=True)
    plain, _ = _now(path, fed[:FEW], optimize=False)
    return {
        "name": name,
        "file": entry.file,
        "precision": entry.precision,
        "oldest": oldest(File.read(path))[0],
        "version": told["version"],
        "images": len(fed),
        "accuracy_old": _accuracy(old, split),
        "accuracy_now": _accuracy(usual, split),
        "equal_to_usual": _same(old, usual),
        "worst_to_usual": _worst(old, usual),
        "equal_to_reference": _same(old[:FEW], plain),
        "worst_to_reference": _worst(old[:FEW], plain),
        "p50_ms_old": told["p50_ms"],
        "p50_ms_now": ms,
        "times_slower": told["p50_ms"] / ms,
    }


def _old(path: Path, fed: Any, python: Path) -> tuple[Any, dict[str, Any]]:
    with scratch_folder() as folder:
        np.save(folder / "inputs.npy", fed)
        command = [python, SIDE, path, folder / "inputs.npy", folder / "outputs.npy"]
        ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        return np.load(folder / "outputs.npy"), json.loads(ran.stdout.splitlines()[-1])


def _now(path: Path, fed: Any, optimize: bool) -> tuple[Any, float]:
    loaded = RUNTIMES["litert"].load(path, optimize=optimize)
    (taken,), (given,) = loaded.signature.inputs, loaded.signature.outputs
    found, times = [], []
    for sample in fed:
        begun = time.perf_counter()
        outputs = loaded.run({taken.name: sample[None]})
        times.append(time.perf_counter() - begun)
        found.append(outputs[given.name][0].copy())
    return np.stack(found), 1e3 * float(np.median(times))


def _accuracy(logits: Any, split: Split) -> float:
    return 100.0 * float((logits.argmax(axis=1) == split.labels).mean())


def _same(one: Any, other: Any) -> float:
    """Share of the values that are the same, to the bit."""
    return float((one == other).mean())


def _worst(one: Any, other: Any) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=default_root())
    asked = parser.parse_args()
    cache = Cache(asked.cache, print)
    found = rows(load_recipe(DIGITS, []), cache, asked.python)
    found += rows(cifar10(*SHORT), cache, asked.python)
    for each in found:
        print(each, flush=True)
    write("old_runtime", found, seeds=[0], threads=1, cifar10_shortened=SHORT)


if __name__ == "__main__":
    main()
