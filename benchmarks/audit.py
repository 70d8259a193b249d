"""The audit of the CIFAR-10 bundle: what each model on the way lost and copied, when to pass a
request on to the teacher, and which images the bundle takes for those it was made with.

Three result files: `audit`, a row a model, whose `terminal` is what `edgedistill audit BUNDLE`
shows; `routing`, what share of the test images passed on to the teacher reaches which accuracy;
`drift`, a row a folder: half of the test images, the same corrupted, spoken digits as pictures.

    python -m benchmarks.audit [--cache DIR]        (after `benchmarks.cifar10`, with its cache)
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgedistill
from benchmarks.cifar10 import EXAMPLE, TARGET, ours, recipe
from benchmarks.common import DATA, Quiet, write
from edgedistill.artifact import read_json
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.data.image.corrupt import KINDS, corrupt

STRENGTH = 3
SIDE = 32
NOTE = "CIFAR-10, JPEG copy"


def models(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a model: figures in percent but for the drift of confidence."""
    rows = []
    for name in found["order"][1:]:
        told = found["students"][name]
        agreed = told["agreement"]
        worse = [row["accuracy"].get(name) for row in found["corruptions"]]
        rows.append({
            "name": found["file"] if name == "shipped" else f"{name}, torch",
            "accuracy": told["overall"]["student_accuracy"],
            "retention": 100.0 * told["overall"]["retention"],
            "worst_class_retention": 100.0 * told["worst"]["retention"],
            "calibration_error": told["student"]["ece"],
            "of_teachers_errors_copied": 100.0 * agreed["copied_error_share"],
            "better_than_teacher": 100.0 * agreed["student_better"]["share"],
            "accuracy_corrupted": None if None in worse else float(np.mean(worse[1:])),
        })  # fmt: skip
    return rows


def routed(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a choice: the share of the test images passed on, in percent, and what that reaches."""
    curve, test = found["curve"], found["test"]
    enough = test["teacher"] - recipe(path=EXAMPLE).stages.audit.routing_drop
    least = next(row for row in curve if row["accuracy"] >= enough)
    choices = {
        "none, the student alone": curve[0],
        "as chosen on validation": test,
        "the least for the teacher's accuracy less half a point": least,
        "all, the teacher alone": curve[-1],
    }
    return [
        {"name": name, "passed_on": 100.0 * row["share_routed"], "accuracy": row["accuracy"]}
        for name, row in choices.items()
    ]


def spoken(count: int) -> NDArray[np.uint8]:
    """Recordings as grey pictures: (count, 32, 32), log power over 32 bands and 32 moments."""
    import pyarrow.parquet
    import soundfile

    table = pyarrow.parquet.read_table(DATA / "data" / "spoken_digits" / "test.parquet")
    pictures = []
    for entry in table["audio"].to_pylist()[:count]:
        sound, _ = soundfile.read(io.BytesIO(entry["bytes"]), dtype="float32")
        starts = np.linspace(0, max(0, len(sound) - 256), SIDE).astype(int)
        frames = np.stack([np.resize(sound[start : start + 256], 256) for start in starts])
        power = np.abs(np.fft.rfft(frames * np.hanning(256))[:, 1:]) ** 2
        loud = np.log(power.reshape(SIDE, SIDE, -1).mean(axis=2) + 1e-8)
        pictures.append(255 * (loud - loud.min()) / (np.ptp(loud) + 1e-8))
    return np.rint(np.array(pictures)).astype(np.uint8).transpose(0, 2, 1)


def folder_of(images: NDArray[np.uint8], place: Path) -> Path:
    from PIL import Image

    place.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(place / f"{number:05}.png")
    return place


def drifts(bundle: edgedistill.Bundle, test: Any, scratch: Path) -> list[dict[str, Any]]:
    ids = np.sort(np.random.default_rng(0).permutation(len(test))[: len(test) // 2])
    images = np.asarray(test.images[ids])
    sets = {"half of the test images": images}
    for kind in KINDS:
        sets[f"the same, {kind}, strength {STRENGTH}"] = corrupt(images, kind, STRENGTH, 0, ids)
    sets["spoken digits as pictures"] = spoken(500)
    rows = []
    for name, each in sets.items():
        found = edgedistill.drift(bundle, folder_of(each, scratch / f"{len(rows)}"))
        rows.append({"name": name, "images": len(each), **{
            key: found[key] for key in
            ("verdict", "psi_classes", "psi_confidence", "confidence_shift", "embedding_shift")
        }})  # fmt: skip
        print(f"{name}: {found['note']}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    test = open_split(ours(Cache(wanted.cache, print))["data"].path, "test")
    with tempfile.TemporaryDirectory() as scratch:
        bundle = edgedistill.compile(
            recipe(path=EXAMPLE), TARGET, Path(scratch, "cifar10"), wanted.cache, reporter=Quiet()
        )
        assert isinstance(bundle, edgedistill.Bundle)
        line = [sys.executable, "-m", "edgedistill", "audit", str(bundle.path)]
        printed = subprocess.run(line, check=True, capture_output=True, text=True).stdout
        found = read_json(bundle.path / "audit.json")
        write("audit", models(found), seeds=[0], data=NOTE, terminal=printed, audit=found)
        routing = found["routing"]
        write("routing", routed(routing), seeds=[0], data=NOTE, threshold=routing["threshold"],
              temperature=routing["temperature"], curve=routing["curve"])  # fmt: skip
        write("drift", drifts(bundle, test, Path(scratch)), seeds=[0], data=NOTE)


if __name__ == "__main__":
    main()
