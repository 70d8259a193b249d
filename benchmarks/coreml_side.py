"""Core ML packages of students: what is in them, and how near what they hold is to the torch graph.

Nothing here runs Core ML, which Apple's systems alone do. The package is read back and its program
evaluated in torch, on the whole test set: that tells of the graph, its constants and its weights,
not of the kernels of a phone.

    pip install 'edgedistill[coreml]'
    python -m benchmarks.coreml_side [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cifar10 import recipe as cifar10
from benchmarks.common import Quiet, write
from benchmarks.executorch_side import DIGITS, SHORT, TARGET
from edgedistill import program_file
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.pipeline import run_until
from edgedistill.program import MAIN
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.records import DataRecord
from edgedistill.runtimes.coreml.classifier import write as write_package
from edgedistill.runtimes.coreml.evaluate import Evaluated
from edgedistill.scratch import scratch_folder


def rows(recipe: Recipe, cache: Cache, folder: Path) -> list[dict[str, Any]]:
    made = run_until(recipe, TARGET, cache, Quiet(), last="verify")
    split = open_split(made["data"].path, "test")
    labels = DataRecord.read(made["data"]).classes
    pixels = split.pixels(np.arange(len(split)))
    found = []
    for kind in ("float", "int8"):
        program = program_file.load(program_file.place(made["quantize"].path, MAIN, kind))
        path = folder / f"{recipe.name}.{kind}.mlpackage"
        write_package(program, path, labels)
        package = Evaluated(path)
        answers = np.concatenate(
            [package({"pixels": np.rint(each[None] * 255)}) for each in pixels]
        )
        logits = np.load(made["verify"].file("logits.npz"))[kind].astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        wanted = powers / powers.sum(axis=1, keepdims=True)
        found.append(
            {
                "name": recipe.name,
                "kind": kind,
                "images": len(split),
                "kb": sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) / 1e3,
                "inputs": package.inputs,
                "outputs": package.outputs,
                "operators": package.operators,
                "agreement": float((answers.argmax(1) == logits.argmax(1)).mean()),
                "accuracy": 100.0 * float((answers.argmax(1) == split.labels).mean()),
                "accuracy_of_graph": 100.0 * float((logits.argmax(1) == split.labels).mean()),
                "within_a_percent": float((np.abs(answers - wanted) <= 0.01).mean()),
                "worst_probability": float(np.abs(answers - wanted).max()),
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_root())
    cache = Cache(parser.parse_args().cache, print)
    with scratch_folder() as folder:
        found = rows(load_recipe(DIGITS, []), cache, folder)
        found += rows(cifar10(*SHORT), cache, folder)
    for each in found:
        print(each, flush=True)
    write("coreml_side", found, seeds=[0], cifar10_shortened=SHORT)


if __name__ == "__main__":
    main()
