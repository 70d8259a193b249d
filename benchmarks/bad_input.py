"""What a user gets to read for each kind of bad input: a transcript, with exit codes.

Every case is a real command in a process of its own, on data of a few images.

    python -m benchmarks.bad_input        (writes benchmarks/results/bad_input.md)
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from benchmarks.transcript import COMPILE, Case, Work, changed, environment, run, transcribe
from edgedistill.signature import image_inputs

QUICK = {"epochs": 1, "batch_size": 8}


def recipe(folder: Path, **changes: Any) -> dict[str, Any]:
    """A compile of seconds, on the images that `pictures` makes."""
    family = {"family": "resnet_cifar", "depth": 8}
    document: dict[str, Any] = {
        "name": "tiny",
        "data": {"source": "folder", "train": "images", "image_size": 8},
        "teacher": {**family, "widths": [8, 8, 8]},
        "student": {**family, "widths": [8, 8, 8]},
        "stages": {
            "teacher": {"train": QUICK},
            "teach": {"views": 1},
            "distill": QUICK,
            "quantize": {**QUICK, "calibration_samples": 8, "sensitivity_samples": 0},
        },
    }
    return changed(document, **changes)


def pictures(folder: Path, classes: dict[str, int], mode: str = "RGB") -> None:
    random = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / name / f"{number:02}.png")


def with_images(folder: Path, **changes: Any) -> dict[str, Any]:
    pictures(folder / "images", {"cat": 20, "dog": 20})
    return recipe(folder, **changes)


def several_mistakes(folder: Path) -> dict[str, Any]:
    return with_images(
        folder, stages__prune={"ratoi": 0.5}, stages__distill={"epochs": "many"},
        stages__quantize={"method": "qta"}, data__validation=1.5, student__depth=9,
    )  # fmt: skip


def empty_folder(folder: Path) -> dict[str, Any]:
    (folder / "images").mkdir()
    return recipe(folder)


def one_class(folder: Path) -> dict[str, Any]:
    pictures(folder / "images", {"cat": 20})
    return recipe(folder)


def class_missing(folder: Path) -> dict[str, Any]:
    pictures(folder / "images", {"cat": 20, "dog": 20})
    pictures(folder / "test", {"cat": 5})
    return recipe(folder, data__test="test")


def unreadable(folder: Path) -> dict[str, Any]:
    document = with_images(folder)
    (folder / "images" / "cat" / "07.png").write_bytes(b"not a picture")
    return document


def unreadable_allowed(folder: Path) -> dict[str, Any]:
    document = unreadable(folder)
    document["data"]["skip_unreadable"] = 0.05
    return document


def grey(folder: Path) -> dict[str, Any]:
    pictures(folder / "images", {"cat": 20, "dog": 20}, "L")
    return recipe(folder, data__convert_channels=False)


def transparent(folder: Path) -> dict[str, Any]:
    pictures(folder / "images", {"cat": 20, "dog": 20}, "RGBA")
    return recipe(folder, data__convert_channels=False)


def weights_of(depth: int, classes: int, path: Path) -> None:
    from safetensors.torch import save_file

    from edgedistill.models import build
    from edgedistill.recipe import ResidualModel

    model = ResidualModel(family="resnet_cifar", depth=depth, widths=(8, 8, 8))
    save_file(build(model, classes, image_inputs(3, 8, 8)).state_dict(), path)


def wrong_weights(folder: Path) -> dict[str, Any]:
    weights_of(14, 2, folder / "teacher.safetensors")
    return with_images(folder, teacher__weights="teacher.safetensors")


def other_classes(folder: Path) -> dict[str, Any]:
    weights_of(8, 5, folder / "teacher.safetensors")
    return with_images(folder, teacher__weights="teacher.safetensors")


def function_with_other_classes(folder: Path) -> dict[str, Any]:
    (folder / "mine.py").write_text(
        "from torch import nn\n\n\n"
        "def student(classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(192, 7))\n"
    )
    student = {"family": "function", "function": "mine:student"}
    return with_images(folder, student=student)


def pickle(folder: Path) -> dict[str, Any]:
    (folder / "teacher.pth").write_bytes(b"\x80\x02}q\x00.")
    return with_images(folder, teacher__weights="teacher.pth")


CASES = [
    Case("Misspelt key, wrong type, value out of range: all at once", several_mistakes),
    Case("Missing recipe", with_images, ("compile", "recipy.yaml")),
    Case("Missing data folder", lambda folder: recipe(folder)),
    Case("Missing weights", lambda f: with_images(f, teacher__weights="teacher.safetensors")),
    Case("Empty folder", empty_folder),
    Case("One class only", one_class),
    Case("A class missing from the test set", class_missing),
    Case("An image that cannot be decoded", unreadable),
    Case("The same, with a share of them allowed", unreadable_allowed,
         ("compile", "recipe.yaml", "--target", "android-arm64"), (0, 1)),
    Case("Grey images where RGB is meant", grey),
    Case("RGBA images where RGB is meant", transparent),
    Case("Weights that do not fit the model", wrong_weights),
    Case("A teacher of other classes: its last layer is made anew", other_classes, COMPILE, (0, 1)),
    Case("A student of other classes", function_with_other_classes),
    Case("A target that does not exist", with_images,
         ("compile", "recipe.yaml", "--target", "andriod-arm64")),
    Case("A runtime that is not installed", with_images, block="openvino"),
    Case("A pickle offered as weights", pickle),
]  # fmt: skip


def damaged_cache(folder: Path) -> tuple[int, str]:
    case = Case("", with_images)
    run(case, folder)
    for labels in (folder / "cache" / "artifacts").glob("data-*/train/labels.npy"):
        labels.write_bytes(labels.read_bytes() + b"!")
    done = _again(folder)
    return done.returncode, done.stdout


def _again(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgedistill", *COMPILE], cwd=folder, text=True,
        env=environment(folder, ""), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 KB at `folder/cache`; needs root."""
    place = folder / "cache"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def full_disk(folder: Path) -> tuple[int, str]:
    with small_disk(folder):
        return run(Case("", with_images), folder)


def interrupted(folder: Path) -> tuple[int, str]:
    document = with_images(folder, stages__distill={"epochs": 100000, "batch_size": 8})
    (folder / "recipe.yaml").write_text(yaml.safe_dump(document))
    process = subprocess.Popen(
        [sys.executable, "-m", "edgedistill", *COMPILE], cwd=folder, text=True,
        env=environment(folder, ""), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if list((folder / "cache" / "work").glob("distill-*/checkpoints")):
            break
        time.sleep(0.2)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate()
    return process.returncode, text


SPECIAL = [
    ("A cache entry changed on disk", damaged_cache, (0, 1)),
    ("A disk that fills", full_disk, (2,)),
    ("Ctrl-C in the middle of training", interrupted, (130,)),
]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    work = [each.work for each in CASES]
    work += [Work(title, each, expected) for title, each, expected in SPECIAL]
    transcribe("bad_input", "What bad input gets to read", work)


if __name__ == "__main__":
    main()
