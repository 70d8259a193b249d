"""Plain distillation by the distill stage and by torchdistill: accuracy, and speed in turn.

ResNet-56 into ResNet-8 on a part of CIFAR-10: the same models, images, batches, passes, loss
weights, decay and cosine. torchdistill's learning rate is that of `RATES` which is best on
validation after half of the epochs. It runs the teacher along, as it does in its own examples:
once in float32, as they run it, and once with autocast to bfloat16 and channels-last put around
it by hand, which is how our side trains here. Our accuracies are the row `soft targets` of
`benchmarks.distillation`, with the same `--cache`.

    python -m venv peers && peers/bin/pip install -e . torchdistill
    python -m benchmarks.peers --python peers/bin/python [--cache DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import Quiet, mean_and_std, write
from benchmarks.distillation import COMMON, EPOCHS, LIMIT, WAYS, train_one
from benchmarks.forms import from_store
from edgedistill.artifact import Artifact, write_json
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.devices.machine import multiplies_bf16
from edgedistill.pipeline import run_until
from edgedistill.recipe import Recipe

OURS = "soft targets"
RATES = (0.1, 0.3, 1.0)
ROOT = Path(__file__).parents[1]


class Side:
    """A torchdistill run under way in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, command: str) -> float:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))


@contextmanager
def side(
    python: Path, folder: Path, seed: int, epochs: int, precision: str, rate: float
) -> Iterator[Side]:
    line = [python, "-m", "benchmarks.torchdistill_side", folder, str(seed), str(epochs),
            precision, str(rate)]  # fmt: skip
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield Side(process)
        assert process.stdin
        process.stdin.close()


def ours(seed: int, cache: Cache) -> tuple[Recipe, dict[str, Artifact]]:
    wanted = recipe(*COMMON, *WAYS[OURS], f"seed={seed}")
    return wanted, run_until(wanted, TARGET, cache, Quiet(), last="distill")


def written(seed: int, cache: Cache, workers: int) -> Path:
    """A folder of what the other side needs, as files that both can read."""
    wanted, made = ours(seed, cache)
    folder = cache.root / "benchmarks" / "torchdistill" / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "validation", "test"):
        split = open_split(made["data"].path, name)
        np.savez(folder / f"{name}.npz", images=np.asarray(split.images), labels=split.labels)
    settings = wanted.stages.distill
    soft, labels = settings.losses
    write_json(folder / "settings.json", {
        "temperature": soft.temperature, "labels_weight": labels.weight,  # type: ignore[union-attr]
        "batch_size": settings.batch_size, "weight_decay": settings.weight_decay,
        "workers": workers, "teacher": str(made["teacher"].file("model")),
        "student": str(made["distill"].file("model")),
    })  # fmt: skip
    return folder


def theirs(python: Path, folder: Path, seed: int, epochs: int, rate: float, split: str) -> float:
    """The accuracy of a whole run in bfloat16, kept so that it outlives a kill."""
    kept = folder / f"{split}-{epochs}-{rate:g}.json"
    if kept.exists():
        return float(json.loads(kept.read_text()))
    with side(python, folder, seed, epochs, precision(), rate) as run:
        for number in range(epochs):
            print(f"torchdistill, seed {seed}, rate {rate:g}, epoch {number + 1}: "
                  f"{run.do('epoch'):.0f} s", flush=True)  # fmt: skip
        reached = run.do(split)
    write_json(kept, reached)
    return reached


def precision() -> str:
    return "bf16" if multiplies_bf16() else "fp32"


def best_rate(python: Path, folder: Path, seed: int) -> float:
    scores = {rate: theirs(python, folder, seed, EPOCHS // 2, rate, "validation") for rate in RATES}
    print(f"torchdistill, validation accuracy by learning rate: {scores}", flush=True)
    return max(scores, key=lambda rate: scores[rate])


def speeds(
    python: Path, folder: Path, cache: Cache, rate: float, rounds: int
) -> dict[str, list[float]]:
    """Images a second, an epoch of each side in turn."""
    wanted, made = ours(0, cache)
    images = len(open_split(made["data"].path, "train"))
    found: dict[str, list[float]] = {"edgedistill, stored answers": []}
    with (
        side(python, folder, 0, EPOCHS, "fp32", rate) as plain,
        side(python, folder, 0, EPOCHS, "bf16", rate) as tuned,
    ):
        sides = {"torchdistill, float32": plain}
        if multiplies_bf16():
            sides["torchdistill, bfloat16 and channels-last by hand"] = tuned
        for number in range(rounds + 1):
            epochs = {"edgedistill, stored answers": from_store(wanted, made, multiplies_bf16())}
            epochs |= {name: each.do("epoch") for name, each in sides.items()}
            if number:  # the first round warms up
                for name, seconds in epochs.items():
                    found.setdefault(name, []).append(images / seconds)
                print({name: images / seconds for name, seconds in epochs.items()}, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="one that has torchdistill")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="of torchdistill's loader")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--only", type=int, nargs="*", help="train these seeds, measure no speed")
    parser.add_argument("--cache", type=Path, default=default_root())
    asked = parser.parse_args()
    cache = Cache(asked.cache, print)
    folders = {seed: written(seed, cache, asked.workers) for seed in asked.seeds}
    first = asked.seeds[0]
    rate = best_rate(asked.python, folders[first], first)

    def reached(seed: int) -> float:
        return theirs(asked.python, folders[seed], seed, EPOCHS, rate, "test")

    if asked.only is not None:
        for seed in asked.only:
            print(f"seed {seed}: {reached(seed):.2f} %", flush=True)
        return
    rows: list[dict[str, Any]] = []
    speed = speeds(asked.python, folders[first], cache, rate, asked.rounds)
    mine = np.array(speed["edgedistill, stored answers"])
    for name, samples in speed.items():
        mean, std = mean_and_std(samples)
        rows.append({
            "name": name, "images_per_second_mean": mean, "images_per_second_std": std,
            "ours_is_faster_by": float(np.median(mine / np.array(samples))), "samples": samples,
        })  # fmt: skip
    for at, each in (
        (0, [train_one(OURS, seed, cache)["accuracy"] for seed in asked.seeds]),
        (len(rows) - 1, [reached(seed) for seed in asked.seeds]),
    ):
        mean, std = mean_and_std(each)
        rows[at] |= {"accuracy_mean": mean, "accuracy_std": std, "accuracy_samples": each}
    write("peers", rows, seeds=asked.seeds, epochs=EPOCHS, student="ResNet-8",
          teacher="ResNet-56", torchdistill_learning_rate=rate,
          data=f"CIFAR-10, JPEG copy, {LIMIT} training images")  # fmt: skip


if __name__ == "__main__":
    main()
