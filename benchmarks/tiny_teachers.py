"""A teacher of each kind that needs no network, untrained, as the arguments of a compile of the
digits that takes no longer than it must."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from edgedistill.api import default_recipe
from edgedistill.signature import image_inputs

SIZE, CLASSES = 16, 10


def short(teacher: str) -> list[str]:
    settings = [
        f"teacher={teacher}", "stages.teacher.train=null", "stages.teach.views=1",
        "stages.distill.epochs=1", "stages.prune=null", "stages.quantize.epochs=1",
        "stages.audit.corruption_samples=0", "contract={}",
    ]  # fmt: skip
    return [str(default_recipe()), *(word for each in settings for word in ("--set", each))]


def in_a_file(runtime: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        import torch

        from edgedistill.compress.fold import fold
        from edgedistill.models import build
        from edgedistill.recipe import ResidualModel
        from edgedistill.runtimes import RUNTIMES, Spec

        torch.manual_seed(0)
        model = build(
            ResidualModel(family="resnet_cifar", depth=8), CLASSES, image_inputs(1, SIZE, SIZE)
        )
        writer = RUNTIMES[runtime]
        path = folder / f"teacher{writer.suffix}"
        spec = Spec("fp32", tuple(map(str, range(CLASSES))))
        writer.write(fold(model.eval(), image_inputs(1, SIZE, SIZE)), path, spec)
        family = {"litert": "tflite", "onnxruntime": "onnx"}[runtime]
        return short(f"{{family: {family}, path: {path}}}")

    return make


def elsewhere(code: str, path: Path) -> None:
    """Run code that writes to `path` in a process of its own: these frameworks crowd out torch."""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)


def keras(folder: Path) -> list[str]:
    path = folder / "teacher.keras"
    layers = (
        f"keras.Input(({SIZE}, {SIZE}, 1)), keras.layers.Flatten(), keras.layers.Dense({CLASSES})"
    )
    elsewhere(f"import sys, keras; keras.Sequential([{layers}]).save(sys.argv[1])", path)
    return short(f"{{family: keras, path: {path}}}")


def huggingface(folder: Path) -> list[str]:
    path = folder / "vit"
    elsewhere(
        "import sys; from transformers import ViTConfig, ViTForImageClassification as Model\n"
        "from transformers import ViTImageProcessor as Processor\n"
        f"labels = {{i: str(i) for i in range({CLASSES})}}\n"
        "config = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2,\n"
        f"    intermediate_size=32, image_size={SIZE}, patch_size=8, id2label=labels,\n"
        "    label2id={name: i for i, name in labels.items()})\n"
        "Model(config).save_pretrained(sys.argv[1])\n"
        f"side = {{'height': {SIZE}, 'width': {SIZE}}}\n"
        "Processor(size=side).save_pretrained(sys.argv[1])\n",
        path,
    )
    settings = short(f"{{family: huggingface, name: {path}, backend: torch}}")
    return [*settings, "--set", "data.channels=3"]


def python(folder: Path) -> list[str]:
    (folder / "brightness.py").write_text(
        "import numpy as np\n\ndef answer(images):\n"
        f"    return np.outer(images.mean((1, 2, 3)) / 255, np.arange({CLASSES}))\n"
    )
    return short("{family: python, function: 'brightness:answer'}")


def timm(folder: Path) -> list[str]:
    settings = short("{family: timm, name: resnet10t}")
    train = "stages.teacher.train={epochs: 1}"
    return [train if each == "stages.teacher.train=null" else each for each in settings]


def stored(folder: Path) -> list[str]:
    path = folder / "answers.parquet"
    asked = [sys.executable, "-m", "edgedistill", "teach", *python(folder), "--export", str(path)]
    subprocess.run([*asked, "--cache", str(folder / "asked")], check=True, cwd=folder)
    return short(f"{{family: stored, path: {path}}}")


TEACHERS: dict[str, Callable[[Path], list[str]]] = {
    "onnx": in_a_file("onnxruntime"),
    "tflite": in_a_file("litert"),
    "keras": keras,
    "huggingface": huggingface,
    "python": python,
    "timm": timm,
    "stored": stored,
}
