"""The recipe for photos beside what one would do without it.

Ours: `examples/photos.yaml`. Beside it, on the same images, views, cores and image-passes: the same
pretrained student fine-tuned on the labels alone, its new output layer fitted before as ours is,
once with batch norms that learn from batches and whose statistics are estimated anew, and once with
frozen ones, each at that of three learning rates which is best on validation after a sixth of the
passes; then each runtime's own quantizer, at those of its settings which are best on validation.

Without `--photos` (a folder with `train` and `test`, one folder for each class in them), the images
are CIFAR-10's JPEG copies, 32x32 pixels scaled up: they are no photos, and say nothing of what more
pixels are worth.

    python -m benchmarks.photos [--seeds 0 1 2] [--photos DIR] [--limit 3000] [--cache DIR]
    python -m benchmarks.photos --trials [--seeds 0] ...

The second tries other settings of the recipe, each judged on validation alone. `--set KEY=VALUE`
changes the recipe for both sides. What was done is not done again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import DATA, Quiet, mean_and_std, write
from benchmarks.environments import HERE
from benchmarks.peers_quantization import (
    NAMES,
    OURS,
    RUNTIMES,
    TARGET,
    Student,
    quantized,
    right,
)
from benchmarks.sides import passes
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.models import load
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, torch_predictor
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.runtimes import size_of
from edgedistill.tasks.classification import accuracy

EXAMPLES = Path(__file__).parents[1] / "examples"
OWN = {"litert": "litert", "onnxruntime": "onnxruntime-u8s8", "openvino": "nncf"}
"""Each runtime's quantizer, as `quantizers_side` names it."""
RATES = (0.0001, 0.0003, 0.001)
"""Learning rates that the fine-tuning is tried with, of the recipe's optimizer."""
CALIBRATION = 256
TRIALS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "learning rate 0.0001": ("stages.distill.learning_rate=0.0001",),
    "learning rate 0.001": ("stages.distill.learning_rate=0.001",),
    "momentum, 0.005": ("stages.distill.optimizer=sgd", "stages.distill.learning_rate=0.005"),
    "norms learning": (
        "stages.teacher.train.freeze_batch_norm=false",
        "stages.distill.freeze_batch_norm=false",
    ),
    "no average of weights": ("stages.distill.ema=null",),
    "2 views": ("stages.teach.views=2",),
    "12 views": ("stages.teach.views=12",),
    "temperature 2": (
        "stages.distill.losses=[{kind: soft_targets, weight: 0.9, temperature: 2}, "
        "{kind: labels, weight: 0.1}]",
    ),
    "half of mixed images": ("data.augment.mixup=0.25", "data.augment.cutmix=0.25"),
    "teacher's rate 0.03": ("stages.teacher.train.learning_rate=0.03",),
    "128 pixels": ("data.image_size=128",),
}


def images(asked: argparse.Namespace, root: Path) -> tuple[str, ...]:
    """Overrides that say where the images are. Of CIFAR-10's test images, the first `asked.test`
    are laid under `root`."""
    if asked.photos is not None:
        return (f"data.train={asked.photos}/train", f"data.test={asked.photos}/test")
    import pyarrow.parquet

    folder = DATA / "data" / "cifar10"
    test = root / f"cifar10-test-{asked.test}.parquet"
    if not test.exists():
        table = pyarrow.parquet.read_table(folder / "test.parquet")
        pyarrow.parquet.write_table(table.slice(0, asked.test), test)
    return ("data.source=parquet", f"data.train={folder}/train.parquet", f"data.test={test}")


def recipe(asked: argparse.Namespace, root: Path, seed: int, *overrides: str) -> Recipe:
    return load_recipe(
        EXAMPLES / "photos.yaml",
        [
            *images(asked, root), f"data.limit={asked.limit}", f"seed={seed}",
            f"stages.quantize.calibration_samples={CALIBRATION}", "contract={}",
            "stages.export.precisions=[fp32,int8]", *asked.set, *overrides,
        ],
    )  # fmt: skip


def fine_tuned(
    asked: argparse.Namespace, root: Path, cache: Cache, seed: int, epochs: float, frozen: bool
) -> dict[str, Artifact]:
    """The pretrained student from labels alone, exported in float32; frozen: its batch norms."""

    def made(rate: float, share: float, last: str) -> dict[str, Artifact]:
        wanted = recipe(
            asked, root, seed, "name=labels-only", "stages.quantize=null",
            "stages.export.precisions=[fp32]", "stages.distill.losses=[{kind: labels}]",
            f"stages.distill.epochs={share * epochs}", f"stages.distill.learning_rate={rate}",
            f"stages.distill.freeze_batch_norm={str(frozen).lower()}",
        )  # fmt: skip
        return run_until(wanted, TARGET, cache, Quiet(), last)

    scores = {
        rate: float(made(rate, 1 / 6, "distill")["distill"].metrics["validation_quality"])
        for rate in RATES
    }
    norms = "frozen" if frozen else "learning"
    print(f"fine-tuning, norms {norms}, validation accuracy by rate: {scores}", flush=True)
    return made(max(scores, key=lambda rate: scores[rate]), 1.0, "export")


def laid_out(made: dict[str, Artifact], root: Path, seed: int) -> Student:
    """A student's float files and calibration images, where the quantizers find them."""
    found = Student(root / made["export"].path.name, {OURS: made})
    found.folder.mkdir(exist_ok=True)
    for runtime, suffix in (("onnxruntime", "onnx"), ("litert", "tflite")):
        (found.folder / f"student.{suffix}").write_bytes(
            found.file(OURS, runtime, "fp32").read_bytes()
        )
    split = open_split(found.data, "train")
    chosen = np.sort(np.random.default_rng([seed, 2]).permutation(len(split))[:CALIBRATION])
    np.savez(found.folder / "calibration.npz", images=split.pixels(chosen))
    return found


def minutes(made: dict[str, Artifact], *stages: str) -> float:
    """That these stages, or all, took; as they tell it, stops and goes on included."""
    return (
        sum(
            float(each.metrics.get("seconds", 0.0))
            for name, each in made.items()
            if not stages or name in stages
        )
        / 60
    )


def one_seed(
    asked: argparse.Namespace, root: Path, cache: Cache, seed: int
) -> list[dict[str, Any]]:
    """A row for the teacher, and for each file of both sides."""
    mine = run_until(recipe(asked, root, seed), TARGET, cache, Quiet(), last="export")
    test = open_split(mine["data"].path, "test")
    training = len(open_split(mine["data"].path, "train"))
    files, epochs = Student(root, {OURS: mine}), passes(mine) / training

    def row(name: str, runtime: str, path: Path, spent: float) -> dict[str, Any]:
        told = 100.0 * float(right(path, test, len(test)).mean())
        size = size_of(path) / 1e3
        return {"name": name, "runtime": runtime, "accuracy": told, "size_kb": size,
                "minutes": spent}  # fmt: skip

    whole, float32 = minutes(mine), ("onnxruntime", "fp32")
    rows = [
        teacher(mine),
        row("edgedistill, float", "onnxruntime", files.file(OURS, *float32),
            minutes(mine, "teacher", "teach", "distill")),
    ]  # fmt: skip
    rows += [
        row("edgedistill, int8", runtime, files.file(OURS, runtime, "int8"), whole)
        for runtime in RUNTIMES
    ]
    passed = {"student_passes": passes(mine)}
    for frozen, label in ((False, "fine-tuned"), (True, "fine-tuned, norms frozen")):
        other = fine_tuned(asked, root, cache, seed, epochs, frozen)
        plain, alone = laid_out(other, root, seed), minutes(other, "distill", "export")
        passed["baseline_passes"] = passes(other)
        rows.append(row(f"{label}, float", "onnxruntime", plain.file(OURS, *float32), alone))
        for runtime in RUNTIMES:
            found = quantized(OWN[runtime], HERE, plain)
            name = f"{label}, {NAMES[OWN[runtime]]}"
            if "file" not in found:
                rows.append({"name": name, "runtime": runtime, "failed": found["failed"]})
                continue
            spent = alone + found["seconds"][found["file"].name] / 60
            rows.append(row(name, runtime, found["file"], spent))
    return [{**each, "seed": seed, **passed} for each in rows]


def teacher(made: dict[str, Artifact]) -> dict[str, Any]:
    """Its accuracy on the test images, in the size that it sees."""
    from edgedistill.models import inputs_of
    from edgedistill.signature import image_size

    folder = made["teacher"].file("model")
    split = open_split(made["data"].path, "test", image_size(inputs_of(folder)))
    told = accuracy(logits_of(torch_predictor(load(folder).eval()), split), split.labels)
    return {"name": "teacher, float", "runtime": "torch", "accuracy": told,
            "minutes": minutes(made, "teacher")}  # fmt: skip


def over_seeds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each file kind: means of what was measured, and the samples."""
    kinds = dict.fromkeys((each["name"], each["runtime"]) for each in rows)
    merged = []
    for name, runtime in kinds:
        same = [each for each in rows if (each["name"], each["runtime"]) == (name, runtime)]
        there = [each for each in same if "accuracy" in each]
        row: dict[str, Any] = {"name": name, "runtime": runtime}
        if there:
            samples = [each["accuracy"] for each in there]
            mean, std = mean_and_std(samples)
            row |= {"accuracy_mean": mean, "accuracy_std": std, "samples": samples}
        for key in ("size_kb", "minutes", "student_passes", "baseline_passes"):
            values = [each[key] for each in there if key in each]
            if values:
                row[key] = float(np.mean(values))
        failed = [each["failed"] for each in same if "failed" in each]
        merged.append({**row, "failed": failed} if failed else row)
    return merged


def trials(
    asked: argparse.Namespace, root: Path, cache: Cache, seeds: list[int]
) -> list[dict[str, Any]]:
    """A row for each of `TRIALS`: the student's validation accuracy in float, and the minutes up
    to there."""
    rows = []
    for name, overrides in TRIALS.items():
        found = [
            run_until(recipe(asked, root, seed, *overrides), TARGET, cache, Quiet(), "distill")
            for seed in seeds
        ]
        samples = [float(each["distill"].metrics["validation_quality"]) for each in found]
        mean, std = mean_and_std(samples)
        rows.append({
            "name": name, "accuracy_mean": mean, "accuracy_std": std, "samples": samples,
            "teacher": [float(each["teacher"].metrics["validation_quality"]) for each in found],
            "minutes": float(np.mean([minutes(each) for each in found])),
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--photos", type=Path, help="a folder with `train` and `test`")
    parser.add_argument("--limit", type=int, default=3000, help="training images")
    parser.add_argument("--test", type=int, default=2000, help="test images of CIFAR-10")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--trials", action="store_true")
    parser.add_argument("--name", help="of the result file")
    parser.add_argument("--cache", type=Path, default=default_root())
    asked = parser.parse_args()
    cache = Cache(asked.cache, print)
    root = cache.root / "benchmarks" / "photos"
    root.mkdir(parents=True, exist_ok=True)
    if not all((EXAMPLES / f"efficientnet_lite{n}.safetensors").exists() for n in (0, 2)):
        subprocess.run([sys.executable, EXAMPLES / "efficientnet_lite.py"], check=True)
    told: dict[str, Any] = {
        "seeds": asked.seeds, "training_images": asked.limit, "set": asked.set,
        "data": f"photos, {asked.limit} training images" if asked.photos else
        f"CIFAR-10, JPEG copy, {asked.limit} training images scaled up from 32x32: no photos",
    }  # fmt: skip
    if asked.trials:
        write(asked.name or "photos_trials", trials(asked, root, cache, asked.seeds), **told)
        return
    rows = []
    for seed in asked.seeds:
        rows += one_seed(asked, root, cache, seed)
        print(*rows[-13:], sep="\n", flush=True)
    write(asked.name or "photos", over_seeds(rows), **told, target=TARGET.name,
          calibration_images=CALIBRATION)  # fmt: skip


if __name__ == "__main__":
    main()
