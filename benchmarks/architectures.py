"""Thirteen kinds of nets, compiled for three runtimes: do the files say what the module says?

Each is trained for a few steps and compiled twice, quantized by training and after it. The answers
of every file come from the runtime itself, and are held against the trained module's own.

    python -m benchmarks.architectures --cache DIR
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Quiet, write
from benchmarks.nets import CLASSES, NETS, SIZE, photos
from edgedistill.artifact import Artifact, write_json
from edgedistill.cache import Cache
from edgedistill.models import load
from edgedistill.pipeline import run_until
from edgedistill.recipe import parse_recipe
from edgedistill.target import Target

Floats = NDArray[np.float32]
ANYTHING: dict[str, Any] = {
    "name": "anything", "description": "every runtime", "isa": "x86_64",
    "runtimes": ["litert", "onnxruntime", "openvino"], "scheme": {"io": "float"},
    "package": "python",
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "qat": {"method": "qat", "epochs": 1},
    "ptq": {"method": "ptq"},
}
PRECISIONS = {"qat": ["fp32", "int8"], "ptq": ["int8"]}
"""The float files are the same."""


def recipe(student: dict[str, Any], method: str) -> dict[str, Any]:
    data = {"source": "function", "function": "benchmarks.nets:photos", "image_size": SIZE,
            "classes": [f"stripes{each}" for each in range(CLASSES)]}  # fmt: skip
    training: dict[str, Any] = {"batch_size": 16, "learning_rate": 0.05}
    return {
        "name": "net",
        "data": data,
        "teacher": {"family": "resnet_cifar", "depth": 8, "widths": [8, 16, 32]},
        "student": student,
        "stages": {
            "teacher": {"train": {"epochs": 2, **training}},
            "teach": {"views": 1},
            "distill": {"epochs": 4, **training},
            "quantize": {**METHODS[method], "batch_size": 16, "calibration_samples": 64,
                         "learning_rate": 0.001, "sensitivity_samples": 0},
            "audit": {"corruption_samples": 0},
            "benchmark": {"runs": 10, "seconds": 0.2},
        },
    }  # fmt: skip


def compiled(net: str, method: str, cache: Path) -> dict[str, Artifact]:
    """All that leads to files which are held against their graph."""
    wanted = parse_recipe(recipe(NETS[net], method), net)
    target = Target.model_validate({**ANYTHING, "precisions": PRECISIONS[method]})
    return run_until(wanted, target, Cache(cache, print), Quiet(), last="verify")


def file_answers(path: Path, pixels: Floats) -> Floats:
    """By the runtime alone, an image at a time; every file takes floats in 0..1. Kernels that
    saturate on processors without VNNI, which is no fault of a file, are switched off."""
    runners = {".tflite": _litert, ".onnx": _onnxruntime, ".xml": _openvino}
    run = runners[path.suffix](path)
    return np.concatenate([run(image[None]) for image in pixels])


def _litert(path: Path) -> Callable[[Floats], Floats]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path))
    runner.allocate_tensors()
    given, gives = runner.get_input_details()[0], runner.get_output_details()[0]

    def run(image: Floats) -> Floats:
        runner.set_tensor(given["index"], np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
        runner.invoke()
        answers: Floats = runner.get_tensor(gives["index"])
        return answers

    return run


def _onnxruntime(path: Path) -> Callable[[Floats], Floats]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(image: Floats) -> Floats:
        answers: Floats = session.run(None, {name: image})[0]
        return answers

    return run


def _openvino(path: Path) -> Callable[[Floats], Floats]:
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": False}
    model = openvino.compile_model(openvino.Core().read_model(path), "CPU", settings)

    def run(image: Floats) -> Floats:
        return np.array(next(iter(model(image).values())))

    return run


def rows_of(net: str, cache: Path) -> Iterator[dict[str, Any]]:
    """One for each file, by both methods."""
    import torch

    pixels = test_pixels()
    for method in METHODS:
        started = time.monotonic()
        made = compiled(net, method, cache)
        seconds = time.monotonic() - started
        with torch.no_grad():
            expected: Floats = load(made["distill"].file("model"))(torch.from_numpy(pixels)).numpy()
        verdicts = {row["file"]: row for row in made["verify"].json("verify.json")["rows"]}
        for entry in made["export"].json("export.json")["files"]:
            answers = file_answers(made["export"].file("files") / entry["file"], pixels)
            found = verdicts[entry["file"]]
            yield {
                "name": f"{net}, {method}",
                "runtime": entry["runtime"],
                "precision": entry["precision"],
                **against(answers, expected),
                "parity": found["cause"] or ("ok" if found["ok"] else "missed"),
                "in_float": in_float(entry),
                "float_kinds": entry["float_counts"],
                "verdict": found["verdict"],
                "seconds": seconds,
            }


def against(answers: Floats, expected: Floats) -> dict[str, float]:
    """`error`: largest difference, of the answers' span, in percent; `noise_db`: signal to noise;
    `agreement`: top-1, in percent."""
    apart = answers.astype(np.float64) - expected
    span = float(expected.max() - expected.min())
    power = float((expected - expected.mean()).var()) / max(float((apart**2).mean()), 1e-30)
    return {
        "error_percent": 100 * float(np.abs(apart).max()) / span,
        "signal_to_noise_db": 10 * float(np.log10(power)),
        "agreement_percent": 100 * float((answers.argmax(1) == expected.argmax(1)).mean()),
    }


def test_pixels() -> Floats:
    images = np.stack([image for image, _ in photos("test")])
    return images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def in_float(entry: dict[str, Any]) -> str:
    """How many operators of an int8 file the runtime runs in float on this processor."""
    if entry["precision"] != "int8":
        return ""
    return f"{sum((entry['float_counts'] or {}).values())} of {entry['executed']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", help="some of them; else all, which are recorded")
    parser.add_argument("--cache", type=Path, required=True, help="kept; a later run goes on")
    parser.add_argument("--here", action="store_true", help="in this process")
    wanted = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for net in wanted.nets or NETS:
        kept = wanted.cache / f"{list(NETS).index(net)}.json"
        if not kept.exists():
            if wanted.here:
                write_json(kept, list(rows_of(net, wanted.cache / "cache")))
            else:
                alone(net, wanted.cache)
        rows += json.loads(kept.read_text()) if kept.exists() else [failed(net, wanted.cache)]
    for row in rows:
        print({key: value for key, value in row.items() if key not in ("verdict", "float_kinds")})
    if not wanted.nets:
        write("architectures", rows, seeds=[0], data=f"{SIZE} x {SIZE} made-up photos")


def alone(net: str, cache: Path) -> None:
    """In a process of its own, whose end is then known to be its own."""
    with (cache / f"{list(NETS).index(net)}.log").open("w") as log:
        command = [sys.executable, "-m", "benchmarks.architectures", net, "--here"]
        subprocess.run([*command, "--cache", str(cache)], stdout=log, stderr=log)


def failed(net: str, cache: Path) -> dict[str, Any]:
    words = (cache / f"{list(NETS).index(net)}.log").read_text().splitlines()
    return {"name": net, "parity": "failed", "verdict": " | ".join(words[-3:])}


if __name__ == "__main__":
    main()
