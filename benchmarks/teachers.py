"""A Keras, an ONNX and an HTTP teacher, each compiling the digits to a bundle.

The ONNX teacher is a network trained here and written as a file; the HTTP teacher is that file
behind an endpoint on this machine, which now and then fails or throttles; the Keras teacher is
trained by Keras. Each compile is the command a user would type.

    python -m benchmarks.teachers        (needs `pip install -e '.[tensorflow]'`)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Quiet, write
from edgedistill.api import default_recipe
from edgedistill.cache import Cache
from edgedistill.data import open_split
from edgedistill.data.image.augment import view
from edgedistill.pipeline import run_until
from edgedistill.recipe import load_recipe
from edgedistill.records import DataRecord
from edgedistill.runtimes import RUNTIMES
from edgedistill.target import load_target
from edgedistill.tasks.calibration import softmax

TESTS = Path(__file__).parents[1] / "tests" / "distill" / "teachers"
VIEWS = 1
EPOCHS = 60
"""Of the Keras teacher."""


def onnx_teacher(folder: Path, cache: Cache) -> Path:
    from edgedistill.compress.fold import fold
    from edgedistill.models import load
    from edgedistill.runtimes import Spec

    made = run_until(
        load_recipe(default_recipe()), load_target("android-arm64"), cache, Quiet(), "teacher"
    )
    data = DataRecord.read(made["data"])
    program = fold(load(made["teacher"].file("model")), data.inputs)
    path = folder / "teacher.onnx"
    RUNTIMES["onnxruntime"].write(program, path, Spec("fp32", data.classes))
    return path


def keras_teacher(folder: Path, cache: Cache) -> Path:
    import keras

    recipe = load_recipe(default_recipe())
    made = run_until(recipe, load_target("android-arm64"), cache, Quiet(), "data")
    split = open_split(made["data"].path, "train")
    ids = np.arange(len(split))
    images = np.asarray(split.images)
    keras.utils.set_random_seed(0)
    layers: list[Any] = [keras.Input(images.shape[1:])]
    for width in (32, 64):
        layers += [
            keras.layers.Conv2D(width, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy")
    for epoch in range(EPOCHS):
        # Shifted as the student's are, or its answers to those are bad.
        pixels = view(images, ids, 0, epoch, recipe.data.augment).transpose(0, 2, 3, 1)
        model.fit(pixels, split.labels, batch_size=32, verbose=0)
    path = folder / "teacher.keras"
    model.save(path)
    return path


def compiled(name: str, teacher: str, folder: Path) -> dict[str, Any]:
    """The figures of one compile."""
    out = folder / name
    line = [
        sys.executable, "-m", "edgedistill", "compile", str(default_recipe()), "--out", str(out),
        "--cache", str(folder / f"cache-{name}"), "--set", f"teacher={teacher}", "--set",
        "stages.teacher.train=null", "--set", f"stages.teach.views={VIEWS}",
    ]  # fmt: skip
    done = subprocess.run(line, capture_output=True, text=True)
    print(done.stdout, done.stderr[-2000:], flush=True)
    assert done.returncode in (0, 1), f"{name}: exit code {done.returncode}\n{done.stderr}"
    report = json.loads((out / "report.json").read_text())
    reached = report["summary"]
    return {
        "name": name,
        "teacher_accuracy": reached["teacher_quality"],
        "accuracy": reached["quality"],
        "size_kb": reached["size_kb"],
        "contract_kept": report["ok"],
        "exit_code": done.returncode,
    }


def over_http(model: Path, folder: Path) -> dict[str, Any]:
    """The compile with an endpoint that fails on every tenth request and throttles on others."""
    sys.path.insert(0, str(TESTS))
    from loopback import Reply, serve

    answers: Callable[[Any], Any] = RUNTIMES["onnxruntime"].load(model)

    def answer(image: Any) -> list[float]:
        pixels = np.asarray(image, np.float32)[None, None] / 255
        shares: list[float] = softmax(answers(pixels))[0].tolist()
        return shares

    def reply(asked: Any) -> Any:
        if asked.number % 10 == 3:
            return Reply(500)
        if asked.number % 10 == 7:
            return Reply(429, headers={"Retry-After": "0"})
        return Reply()

    with serve(answer, reply) as endpoint:
        found = compiled("http", f"{{family: http, url: '{endpoint.url}'}}", folder)
        more = [count for count in endpoint.answers.values() if count > 1]
        return found | {
            "requests": len(endpoint.asked),
            "images": len(endpoint.answers),
            # Equal pictures in two splits are asked about in each.
            "images_answered_more_than_once": len(more),
        }


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cache = Cache(folder / "cache", print)
        model = onnx_teacher(folder, cache)
        rows = [
            compiled("onnx", f"{{family: onnx, path: {model}}}", folder),
            over_http(model, folder),
            compiled(
                "keras",
                f"{{family: keras, path: {keras_teacher(folder, cache)}, outputs: probabilities}}",
                folder,
            ),
        ]
    write("teachers", rows, seeds=[0], data="scikit-learn's digits", views=VIEWS)


if __name__ == "__main__":
    main()
