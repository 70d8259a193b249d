"""Spoken digits of a speaker that nothing was trained on: a net below 60 KB that learned from the
labels alone, beside the same net distilled from what a large model of speech hears in the clips.

One speaker at a time is the test set. Of the others' clips, one in twenty is validation; a voice
may be in both. The teacher is Google's speech embedding (Lin et al. 2020, "Training Keyword
Spotters with Limited and Synthesized Speech"), as openWakeWord ships it in two TFLite files, with a
linear layer that each fold fits to its own training labels. The net is trained for as many passes
in both rows, and both are compiled to int8. What is stored are the teacher's answers to a few views
of each clip, so that the row from labels alone sees more of these.

    pip download --no-deps pyopen-wakeword && unzip -d DIR pyopen_wakeword-*.whl
    export EDGEDISTILL_EMBEDDING=DIR/pyopen_wakeword/models
    python -m benchmarks.spoken_digits [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet

from benchmarks.common import DATA, Quiet, write
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.listening.figures import wilson
from edgedistill.pipeline import run_until
from edgedistill.recipe import parse_recipe
from edgedistill.records import ExportRecord, VerifyRecord
from edgedistill.target import load_target

TARGET = load_target("android-arm64").model_copy(update={"runtimes": ("litert",)})
_LEARNING = {"batch_size": 16, "optimizer": "adamw"}
LOSSES: dict[str, list[dict[str, Any]]] = {
    "from labels alone": [{"kind": "labels"}],
    "distilled": [
        {"kind": "soft_targets", "weight": 0.8, "temperature": 3},
        {"kind": "labels", "weight": 0.2},
    ],
}


def document(folder: Path, row: str, seed: int) -> dict[str, Any]:
    """The recipe; `folder`: the fold's two tables."""
    losses = LOSSES[row]
    return {
        "name": "spoken_digits", "seed": seed, "task": "classification",
        "data": {
            "source": "parquet", "train": str(folder / "train.parquet"),
            "test": str(folder / "test.parquet"), "audio": "audio", "label": "label",
            "validation": 0.05,
            "sound": {
                "rate": 8000, "seconds": 1.0,
                "augment": {
                    "shift_ms": 50, "gain_db": 10, "speed": 0.15, "time_mask_ms": 60,
                    "band_mask": 0.1,
                },
            },
        },
        "teacher": {
            "family": "python", "function": "benchmarks.speech_embedding:of_8000",
            "outputs": "embedding",
        },
        "student": {"family": "ds_cnn", "width": 48, "front_end": {"rate": 8000}},
        "stages": {
            "teach": {"views": 4},
            "distill": {**_LEARNING, "epochs": 30, "learning_rate": 0.002, "losses": losses},
            "quantize": {
                **_LEARNING, "method": "qat", "epochs": 3, "learning_rate": 0.0003,
                "losses": losses,
            },
            "export": {"precisions": ["int8"]},
            "audit": {"corruption_samples": 0},
        },
    }  # fmt: skip


def fold(clips: pyarrow.Table, speaker: str, folder: Path) -> None:
    """Leave one speaker's clips out of `train.parquet`, into `test.parquet`."""
    folder.mkdir(parents=True, exist_ok=True)
    theirs = np.array([each == speaker for each in clips["speaker"].to_pylist()])
    for name, chosen in (("train", ~theirs), ("test", theirs)):
        rows = clips.filter(pyarrow.array(chosen))
        parquet.write_table(rows.select(["audio", "label"]), folder / f"{name}.parquet")


def described(made: dict[str, Artifact], clips: int) -> dict[str, Any]:
    """How many of the test clips the int8 file names rightly, and its size."""
    verified, files = VerifyRecord.read(made["verify"]), ExportRecord.read(made["export"])
    entry = files.smallest("main")
    assert entry is not None
    tested = next(each for each in verified.rows if each.file == entry.file)
    return {
        "teacher_percent": verified.torch["teacher"],
        "float_percent": verified.torch["float"],
        "int8_percent": tested.quality,
        "right": round(tested.quality * clips / 100),
        "clips": clips,
        "size_kb": (made["export"].file("files") / entry.file).stat().st_size / 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA / "data" / "spoken_digits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=default_root())
    asked = parser.parse_args()
    tables = [parquet.read_table(asked.data / f"{name}.parquet") for name in ("train", "test")]
    clips = pyarrow.concat_tables(tables)
    names = clips["speaker"].to_pylist()
    rows = []
    for speaker in sorted(set(names)):
        folder = asked.cache / "folds" / speaker
        fold(clips, speaker, folder)
        for row in LOSSES:
            recipe = parse_recipe(document(folder, row, asked.seed), "spoken_digits")
            made = run_until(recipe, TARGET, Cache(asked.cache, print), Quiet(), last="verify")
            rows.append({
                "student": row, "speaker": speaker,
                **described(made, names.count(speaker)),
            })  # fmt: skip
            print(rows[-1], flush=True)
    write("spoken_digits", rows, seeds=[asked.seed], summary=[summary(rows, row) for row in LOSSES],
          recipe=document(Path("fold"), "distilled", asked.seed))  # fmt: skip


def summary(rows: list[dict[str, Any]], student: str) -> dict[str, Any]:
    """Of all folds together, with the interval of a share (Wilson 1927)."""
    mine = [row for row in rows if row["student"] == student]
    right, clips = (sum(row[key] for row in mine) for key in ("right", "clips"))
    return {
        "student": student, "int8_percent": 100 * right / clips, "interval": wilson(right, clips),
        "largest_kb": max(row["size_kb"] for row in mine), "clips": clips,
    }  # fmt: skip


if __name__ == "__main__":
    main()
