"""Thirteen kinds of nets, compiled for three runtimes: do the files say what the module says?

Each is trained for a few steps and compiled twice, quantized by training and after it. The answers
of every file come from the runtime itself, and are held against the trained module's own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.common import write
from benchmarks.nets import CLASSES, NETS, SIZE, photos

Floats = NDArray[np.float32]
TARGET = {
    "name": "anything", "description": "every runtime", "isa": "x86_64",
    "runtimes": ["litert", "onnxruntime", "openvino"], "precisions": ["fp32", "int8"],
    "scheme": {"io": "float"}, "package": "python",
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "qat": {"method": "qat", "epochs": 1},
    "ptq": {"method": "ptq"},
}


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


def compiled(student: dict[str, Any], method: str, folder: Path, cache: Path) -> dict[str, Any]:
    """Exit code, seconds, and the last words of a compile."""
    paths = {"recipe": folder / "recipe.yaml", "target": folder / "target.yaml"}
    paths["recipe"].write_text(yaml.safe_dump(recipe(student, method)))
    paths["target"].write_text(yaml.safe_dump(TARGET))
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "edgedistill", "compile", str(paths["recipe"]), "--target",
         str(paths["target"]), "--out", str(folder / "bundle"), "--cache", str(cache)],
        capture_output=True, text=True, timeout=3600,
    )  # fmt: skip
    return {"exit_code": done.returncode, "traceback": "Traceback" in done.stderr,
            "seconds": time.monotonic() - started,
            "words": [line for line in done.stderr.splitlines() if line][-6:]}  # fmt: skip


def module_answers(cache: Path, student: dict[str, Any], pixels: Floats) -> Floats:
    """Of the trained student as the cache keeps it, by torch."""
    import torch

    from edgedistill.models import load

    folders = cache.glob("artifacts/distill-*/model")
    wanted = {**student, "weights": None}
    found = max(
        (each for each in folders if _is(each, wanted)), key=lambda each: each.stat().st_mtime
    )
    with torch.no_grad():
        answers: Floats = load(found)(torch.from_numpy(pixels)).numpy()
    return answers


def _is(folder: Path, wanted: dict[str, Any]) -> bool:
    described = json.loads((folder / "model.json").read_text())["model"]
    return all(described.get(key) == value for key, value in wanted.items())


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


def rows_of(net: str, method: str, done: dict[str, Any], folder: Path,
            expected: Floats) -> list[dict[str, Any]]:  # fmt: skip
    """One for each file of a bundle."""
    report = json.loads((folder / "bundle" / "report.json").read_text())
    pixels, rows = test_pixels(), []
    for entry in report["files"]:
        answers = file_answers(folder / "bundle" / entry["file"], pixels)
        rows.append(
            {
                "name": f"{net}, {method}",
                "runtime": entry["runtime"],
                "precision": entry["precision"],
                **against(answers, expected),
                "parity": "ok" if entry["parity"] and not entry["cause"] else entry["cause"],
                "in_float": in_float(entry),
                "float_kinds": entry["float_counts"],
                "verdict": entry["verdict"],
                "exit_code": done["exit_code"],
                "seconds": done["seconds"],
            }
        )
    return rows


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
    parser.add_argument("nets", nargs="*", help="some of them; else all")
    parser.add_argument("--cache", type=Path, help="kept, so that a later run goes on")
    wanted = parser.parse_args()
    with TemporaryDirectory() as temporary:
        work = wanted.cache or Path(temporary)
        rows: list[dict[str, Any]] = []
        for net in wanted.nets or NETS:
            for method in METHODS:
                folder = work / f"{net}-{method}".replace(" ", "_").replace(",", "")
                rows += finished(net, method, folder, work / "cache")
    if not wanted.nets:
        write("architectures", rows, seeds=[0], data=f"{SIZE} x {SIZE} made-up photos")


def finished(net: str, method: str, folder: Path, cache: Path) -> list[dict[str, Any]]:
    """The rows of one compile; those of an earlier run where it came to its end."""
    kept = folder / "rows.json"
    if kept.exists():
        found: list[dict[str, Any]] = json.loads(kept.read_text())
        return found
    folder.mkdir(parents=True, exist_ok=True)
    done = compiled(NETS[net], method, folder, cache)
    print(f"{net}, {method}: exit code {done['exit_code']}, {done['seconds']:.0f} s", flush=True)
    if done["exit_code"] not in (0, 1) or done["traceback"]:
        print("\n".join(done["words"]), flush=True)
        return [{"name": f"{net}, {method}", "exit_code": done["exit_code"],
                 "words": done["words"]}]  # fmt: skip
    expected = module_answers(cache, NETS[net], test_pixels())
    rows = rows_of(net, method, done, folder, expected)
    for row in rows:
        print(json.dumps(row), flush=True)
    kept.write_text(json.dumps(rows))
    return rows


if __name__ == "__main__":
    main()
