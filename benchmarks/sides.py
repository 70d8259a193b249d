"""Sides of a comparison, each trained with several seeds, by LiteRT's int8 files: accuracy on the
test images, instructions on an emulated Cortex-A76, size. The first side is ours."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import ahead, mean_and_std
from benchmarks.cost_model import told
from edgedistill.artifact import Artifact
from edgedistill.data import open_split
from edgedistill.devices import open_device
from edgedistill.predict import logits_of
from edgedistill.runtimes import RUNTIMES


@dataclass
class _Side:
    """A value for each seed."""

    right: list[Any] = field(default_factory=list)
    """(test images,) of bool."""
    files: list[Path] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)


class Sides:
    """What was made of each side so far."""

    def __init__(self) -> None:
        self._found: dict[str, _Side] = {}

    def take(self, made: Mapping[str, Mapping[str, Artifact]]) -> None:
        """Of one seed, each side's artifacts up to `export`."""
        for name, artifacts in made.items():
            side = self._found.setdefault(name, _Side())
            split, path = open_split(artifacts["data"].path, "test"), int8_file(artifacts)
            side.right.append(
                logits_of(RUNTIMES["litert"].load(path), split).argmax(-1) == split.labels
            )
            side.files.append(path)
            side.passes.append(passes(artifacts))
            print(name, 100.0 * side.right[-1].mean(), flush=True)

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        """A row for each side; files are counted in `folder`."""
        ours, *_ = self._found
        rows = []
        for name, side in self._found.items():
            samples = [100.0 * float(each.mean()) for each in side.right]
            mean, std = mean_and_std(samples)
            counted = [count(path, folder) for path in side.files]
            rows.append({
                "name": name, "accuracy_mean": mean, "accuracy_std": std, "samples": samples,
                **({} if name == ours else ahead(self._found[ours].right, side.right)),
                "million_instructions": sum(counted) / len(counted) / 1e6,
                "instructions": counted,
                "size_kb": sum(each.stat().st_size for each in side.files) / 1e3 / len(samples),
                "passes": side.passes,
            })  # fmt: skip
        return rows


def passes(artifacts: Mapping[str, Artifact]) -> float:
    """Images that the student was trained on, counted once for each pass."""
    return sum(
        artifacts[stage].metrics.get("samples_seen", 0.0)
        for stage in ("distill", "prune", "quantize")
        if stage in artifacts
    )


def int8_file(artifacts: Mapping[str, Artifact]) -> Path:
    """LiteRT's."""
    (name,) = (each["file"] for each in artifacts["export"].json("export.json")["files"]
               if (each["runtime"], each["precision"]) == ("litert", "int8"))  # fmt: skip
    return artifacts["export"].file("files") / Path(name).name


def count(path: Path, folder: Path) -> float:
    """Instructions of an inference on an emulated Cortex-A76."""
    copied = Path(shutil.copy(path, folder / "counted.tflite"))  # its noise is laid beside it
    (instructions,) = told(open_device("emulator:cortex-a76"), copied, threads=1)
    return instructions
