"""What pruning and training for quantization are worth, each against its plain alternative.

On a part of the CIFAR-10 images, over seeds: the pruned student against the same shape trained
from scratch with the same losses for as many image-passes as distilling and pruning took; and the
pruned student quantized while training against quantized after it.

    python -m benchmarks.stages [--seeds 0 1 2] [--limit 10000] [--cache DIR]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.cifar10 import TARGET, part, recipe
from benchmarks.common import Quiet, mean_and_std, write
from edgedistill import program_file
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.devices.machine import multiplies_bf16
from edgedistill.distill.store import open_answers
from edgedistill.models import build, inputs_of, load, save
from edgedistill.models.pruned import replay
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, torch_predictor
from edgedistill.program import graph_of
from edgedistill.recipe import Recipe
from edgedistill.tasks.classification import accuracy
from edgedistill.train import train
from edgedistill.training_inputs import TrainingInputs


def test_quality(model: Any, artifacts: dict[str, Artifact]) -> float:
    split = open_split(artifacts["data"].path, "test")
    return accuracy(logits_of(torch_predictor(model.eval()), split), split.labels)


def int8_accuracy(artifacts: dict[str, Artifact]) -> float:
    split = open_split(artifacts["data"].path, "test")
    graph = graph_of(program_file.load(artifacts["quantize"].file("int8.program")))
    return accuracy(logits_of(torch_predictor(graph), split), split.labels)


def trained_directly(wanted: Recipe, artifacts: dict[str, Artifact], folder: Path) -> Any:
    """The pruned student's shape with fresh weights, trained as long as distilling and pruning."""
    if (folder / "model.json").exists():
        return load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    description = json.loads((artifacts["prune"].file("model") / "model.json").read_text())
    torch.manual_seed(wanted.seed)
    inputs = inputs_of(artifacts["prune"].file("model"))
    model = build(wanted.student, description["classes"], inputs)
    replay(model, description["pruning"], inputs)
    split, answers = (
        open_split(artifacts["data"].path, "train"),
        open_answers(artifacts["teach"].path),
    )
    samples_seen = (
        artifacts["distill"].metrics["samples_seen"] + artifacts["prune"].metrics["samples_seen"]
    )
    settings = wanted.stages.distill.model_copy(
        update={
            "epochs": samples_seen / len(split),
            "precision": "bf16" if multiplies_bf16() else "fp32",
        }
    )
    training_inputs = TrainingInputs(split, wanted.data.augment, wanted.seed, answers)
    reporter = Quiet()
    train(
        training_inputs.objective(model, settings.losses, settings.precision),
        training_inputs,
        settings,
        checkpoint=folder / "run.safetensors",
        tick=lambda done, total, note: reporter.tick("trained directly", done, total, note),
    )
    save(model, folder, description)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    cache = Cache(wanted.cache, print)
    sides: dict[str, list[float]] = {}
    for seed in wanted.seeds:
        common = part(seed, wanted.limit)
        document = recipe(*common)
        trained = run_until(document, TARGET, cache, Quiet(), last="quantize")
        after = run_until(
            recipe(*common, "stages.quantize.method=ptq"), TARGET, cache, Quiet(), last="quantize"
        )
        direct = trained_directly(
            document, trained, cache.root / "benchmarks" / f"direct-{wanted.limit}-{seed}"
        )
        for name, value in (
            (
                "distilled, before pruning, float",
                test_quality(_model(trained, "distill"), trained),
            ),
            ("pruned, float", test_quality(_model(trained, "prune"), trained)),
            ("same shape trained directly, float", test_quality(direct, trained)),
            ("pruned, int8, quantized while training", int8_accuracy(trained)),
            ("pruned, int8, quantized after training", int8_accuracy(after)),
        ):
            sides.setdefault(name, []).append(value)
            print(f"seed {seed}: {name}: {value:.2f}", flush=True)
    rows = []
    for name, values in sides.items():
        mean, std = mean_and_std(values)
        rows.append({"name": name, "accuracy_mean": mean, "accuracy_std": std, "samples": values})
    write("stages", rows, seeds=wanted.seeds, data=f"CIFAR-10, JPEG copy, {wanted.limit} images")


def _model(artifacts: dict[str, Artifact], stage: str) -> Any:
    return load(artifacts[stage].file("model"))


if __name__ == "__main__":
    main()
