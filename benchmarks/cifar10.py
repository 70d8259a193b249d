"""The CIFAR-10 recipe in full, beside what one would do without it.

Ours: `examples/cifar10.yaml` compiled for android-arm64. Beside it, on the same images and cores:
ResNet-8 trained from the labels alone for the same number of image-passes and quantized after
training with LiteRT's own quantizer (ai-edge-quantizer, static int8), and MLPerf Tiny's ResNet-8
files as they come (trained on the original images, not on these JPEG copies). Instructions of
LiteRT's files are counted on an emulated Cortex-A76. Our side is recorded first, as the baseline
takes about as long.

    python -m benchmarks.cifar10 [--cache DIR]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import DATA, Quiet, write
from benchmarks.sides import count, int8_file, passes
from edgedistill.artifact import Artifact, write_json
from edgedistill.cache import Cache, default_root
from edgedistill.compress.fold import fold
from edgedistill.data import Split, open_split
from edgedistill.models import load
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.records import DataRecord
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.target import load_target
from edgedistill.tasks.classification import accuracy

EXAMPLE = Path(__file__).parents[1] / "examples" / "cifar10.yaml"
PRUNED = Path(__file__).with_name("cifar10_pruned.yaml")
TARGET = load_target("android-arm64")
CALIBRATION = 512
SETTINGS = tuple((rate, decay) for rate in (0.1, 0.3, 1.0) for decay in (1e-4, 5e-4))
"""Learning rates and weight decays that the baseline is tried with; what is best on validation
counts."""
TRIED = 12
"""Epochs that each is tried for."""


def part(seed: int, limit: int) -> tuple[str, ...]:
    """Overrides for a shorter run on `limit` training images: what is compared over seeds."""
    return (
        f"seed={seed}", f"data.limit={limit}", "stages.distill.epochs=20",
        "stages.prune.epochs=20", "stages.prune.max_drop=100",
    )  # fmt: skip


def recipe(*overrides: str, path: Path = PRUNED) -> Recipe:
    return load_recipe(
        path,
        [
            f"data.train={DATA}/data/cifar10/train.parquet",
            f"data.test={DATA}/data/cifar10/test.parquet",
            f"teacher.weights={DATA}/teachers/resnet56_cifar10.safetensors",
            *overrides,
        ],
    )


def ours(cache: Cache, *overrides: str) -> dict[str, Artifact]:
    return run_until(recipe(*overrides, path=EXAMPLE), TARGET, cache, Quiet())


def baseline(cache: Cache, epochs: float, *overrides: str) -> dict[str, Artifact]:
    """ResNet-8 from labels alone, in float; with those of `SETTINGS` which are best on validation
    after `TRIED` epochs."""

    def wanted(rate: float, decay: float, epochs: float) -> Recipe:
        return recipe(
            *overrides, "name=labels-only", "student.depth=8", "stages.prune=null",
            "stages.quantize=null", f"stages.distill.epochs={epochs}",
            "stages.distill.losses=[{kind: labels}]", f"stages.distill.weight_decay={decay}",
            f"stages.distill.learning_rate={rate}", "contract={}",
        )  # fmt: skip

    def tried(rate: float, decay: float) -> float:
        made = run_until(wanted(rate, decay, TRIED), TARGET, cache, Quiet(), last="distill")
        return float(made["distill"].metrics["validation_quality"])

    return run_until(wanted(*best(tried), epochs), TARGET, cache, Quiet(), last="distill")


def best(tried: Callable[[float, float], float]) -> tuple[float, float]:
    """Of `SETTINGS`, the rate and decay whose accuracy on validation is highest, as `tried`
    tells."""
    scores = {setting: tried(*setting) for setting in SETTINGS}
    print(f"from labels, validation accuracy by learning rate, decay: {scores}", flush=True)
    return max(scores, key=lambda setting: scores[setting])


def litert_quantized(artifacts: dict[str, Artifact], seed: int, out: Path) -> Path:
    """The student of a compile, converted by litert-torch as its page shows it, through LiteRT's
    own static int8 quantization."""
    import litert_torch
    import torch
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer import recipe as recipes

    source = out.with_suffix(".float.tflite")
    model = litert_torch.to_channel_last_io(load(artifacts["distill"].file("model")), args=[0])
    litert_torch.convert(model.eval(), (torch.zeros(1, 32, 32, 3),)).export(str(source))
    split = open_split(artifacts["data"].path, "train")
    chosen = np.random.default_rng(seed).permutation(len(split))[:CALIBRATION]
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(source))
    key = next(iter(runner.get_signature_list()))
    (argument,) = runner.get_signature_list()[key]["inputs"]
    images = [
        {argument: np.ascontiguousarray(split.pixels(np.array([i])).transpose(0, 2, 3, 1))}
        for i in chosen
    ]
    work = quantizer.Quantizer(str(source), recipes.static_wi8_ai8())
    ranges = work.calibrate({key: images})
    work.quantize(ranges).export_model(str(out), overwrite=True)
    return out


def teacher_file(artifacts: dict[str, Artifact], folder: Path) -> Path:
    """LiteRT's, in float32."""
    path, record = folder / "teacher.tflite", DataRecord.read(artifacts["data"])
    program = fold(load(artifacts["teacher"].file("model")).eval(), record.inputs)
    RUNTIMES["litert"].write(program, path, Spec("fp32", tuple(record.classes)))
    return path


def row(name: str, path: Path, runtime: str, split: Split) -> dict[str, Any]:
    loaded = RUNTIMES[runtime].load(path)
    return {
        "name": name,
        "runtime": runtime,
        "accuracy": accuracy(logits_of(loaded, split), split.labels),
        "size_kb": path.stat().st_size / 1e3,
    }


def peers(split: Split) -> list[dict[str, Any]]:
    """MLPerf Tiny's reference models; pixels 0..255 in, probabilities out."""
    from ai_edge_litert.interpreter import Interpreter

    found = []
    for path in sorted((DATA / "peers" / "mlperf_tiny").glob("pretrainedResnet*.tflite")):
        runner = Interpreter(str(path))
        runner.allocate_tensors()
        entry, exit_ = runner.get_input_details()[0], runner.get_output_details()[0]
        right = 0
        for image, label in zip(split.images, split.labels, strict=True):
            pixels = np.asarray(image)[None].astype(np.float32)
            scale, zero = entry["quantization"]
            if scale:
                pixels = np.round(pixels / scale) + zero
            runner.set_tensor(entry["index"], pixels.astype(entry["dtype"]))
            runner.invoke()
            right += int(runner.get_tensor(exit_["index"])[0].argmax() == label)
        found.append(
            {
                "name": f"MLPerf Tiny {path.name}, trained on the original images",
                "runtime": "litert",
                "accuracy": 100.0 * right / len(split),
                "size_kb": path.stat().st_size / 1e3,
            }
        )
    return found


def full(cache: Cache) -> None:
    kept = cache.root / "benchmarks" / "cifar10-seconds.json"
    whole, started = not cache.entries() and not cache.unfinished(), time.monotonic()
    mine = ours(cache)
    if whole:
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, time.monotonic() - started)
    seconds = json.loads(kept.read_text()) if kept.exists() else None
    test = open_split(mine["data"].path, "test")
    training = len(open_split(mine["data"].path, "train"))
    checked = mine["verify"].json("verify.json")
    files = {"cifar10.int8.tflite": int8_file(mine), "teacher": teacher_file(mine, cache.root)}
    counted = {name: count(path, cache.root) / 1e6 for name, path in files.items()}
    rows: list[dict[str, Any]] = [
        {
            "name": f"edgedistill {stage}, torch",
            "accuracy": checked["torch"][stage],
            **{key: mine[stage].metrics[key] for key in ("macs", "params")},
            **({"million_instructions": counted[stage]} if stage in counted else {}),
        }
        for stage in ("teacher", "distill")
    ]
    measured = {row["file"]: row for row in mine["benchmark"].json("measurements.json")["rows"]}
    sizes = {e["file"]: e["bytes"] / 1e3 for e in mine["export"].json("export.json")["files"]}
    for each in checked["rows"]:
        figures = {key: value for key, value in each.items() if not isinstance(value, list | dict)}
        figures["accuracy"] = figures.pop("quality")
        speed = {key: measured[each["file"]][key] for key in ("p50_ms", "p99_ms", "samples_ms")}
        name = f"edgedistill {each['file']}"
        counts = {"million_instructions": counted[each["file"]]} if each["file"] in counted else {}
        rows.append({"name": name, **figures, "size_kb": sizes[each["file"]], **speed, **counts})
    rows += peers(test)
    notes = {
        "data": "CIFAR-10, JPEG copy", "seconds": seconds, "student_passes": passes(mine),
        "stage_seconds": {name: each.metrics.get("seconds") for name, each in mine.items()},
    }  # fmt: skip
    write("cifar10", rows, seeds=[0], **notes)
    other = baseline(cache, passes(mine) / training)
    out = cache.root / "labels-only.int8.tflite"
    name = "ResNet-8 from labels, LiteRT's quantizer"
    rows.append({
        **row(name, litert_quantized(other, 0, out), "litert", test),
        **{key: other["distill"].metrics[key] for key in ("macs", "params")},
        "million_instructions": count(out, cache.root) / 1e6,
    })  # fmt: skip
    write("cifar10", rows, seeds=[0], **notes, baseline_passes=passes(other))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_root())
    full(Cache(parser.parse_args().cache, print))


if __name__ == "__main__":
    main()
