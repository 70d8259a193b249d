"""One float student in int8 by each peer's quantizer and by ours: accuracy, size, and latency in
turn.

A ResNet-8, distilled on a part of CIFAR-10 for each seed, is exported in float32, and each tool
gets that file and the same calibration images. Of the settings that a tool is tried with
(`benchmarks.quantizers_side`), those count which are best on the validation images. Each file is
judged on the test set and timed, one image at a time on one thread, in the runtime that it is for.
ModelOpt's are made for TensorRT and run here in ONNX Runtime.

    python -m benchmarks.peers_quantization --environments DIR [--seeds 0 1 2] [--cache DIR]

makes the environments of Olive, ModelOpt and fasterai in DIR where they are not yet (1.4 GB).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cifar10 import recipe
from benchmarks.common import Quiet, ahead, mean_and_std, write
from benchmarks.distillation import COMMON, EPOCHS, LIMIT, WAYS
from benchmarks.environments import HERE, ROOT, Environment, environment, whole_mb
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import Split, open_split
from edgedistill.data.samples import calibration
from edgedistill.devices.machine import machine
from edgedistill.pipeline import run_until
from edgedistill.runtimes import runtime_of, size_of
from edgedistill.target import load_target

CALIBRATION, RUNS = 512, 20
"""Images; inferences of a file in a round."""
WITH_VNNI = "avx512_vnni" in machine()["flags"]
TARGET = load_target("linux-x64-vnni" if WITH_VNNI else "linux-x64")
NAMES = {
    "litert": "LiteRT's own (ai-edge-quantizer)",
    "onnxruntime-u8s8": "ONNX Runtime's own, u8s8",
    "onnxruntime-s8s8": "ONNX Runtime's own, s8s8",
    "nncf": "OpenVINO's own (NNCF)",
    "olive": "Olive",
    "modelopt": "ModelOpt",
    "fasterai": "fasterai",
}
APART = {"olive": "olive-ai", "modelopt": "nvidia-modelopt[onnx]", "fasterai": "fasterai"}
RUNS_IN = {"litert": "litert", "nncf": "openvino"}
"""ONNX Runtime runs the others."""
OURS = "edgedistill, after training"
TRAINED = "edgedistill, while training"
METHODS = {
    OURS: f"{{method: ptq, calibration_samples: {CALIBRATION}}}",
    TRAINED: f"{{method: qat, epochs: 3, calibration_samples: {CALIBRATION}}}",
}
RUNTIMES = ("litert", "onnxruntime", "openvino")
Answer = Callable[[], NDArray[np.float32]]


def opened(path: Path) -> Callable[[NDArray[np.float32]], Answer]:
    """A file in its runtime, whoever wrote it, on one thread: takes an image (1, 3, 32, 32) in
    0..1, and returns what infers it: the same calls for every file of a runtime."""
    runtime = runtime_of(path).name
    if runtime == "litert":
        return _in_litert(path)
    if runtime == "openvino":
        return _in_openvino(path)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: lambda: session.run(None, {name: image})[0]


def _in_litert(path: Path) -> Callable[[NDArray[np.float32]], Answer]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path), num_threads=1)
    runner.allocate_tensors()
    (entry,), (exit_,) = runner.get_input_details(), runner.get_output_details()

    def given(image: NDArray[np.float32]) -> Answer:
        values = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        if entry["dtype"] != np.float32:
            scale, zero = entry["quantization"]
            bounds = np.iinfo(entry["dtype"])
            values = np.clip(np.rint(values / scale) + zero, bounds.min, bounds.max)
        fed = values.astype(entry["dtype"])

        def infer() -> NDArray[np.float32]:
            runner.set_tensor(entry["index"], fed)
            runner.invoke()
            answer: NDArray[np.float32] = runner.get_tensor(exit_["index"])
            return answer

        return infer

    return given


def _in_openvino(path: Path) -> Callable[[NDArray[np.float32]], Answer]:
    import openvino

    model = openvino.Core().compile_model(
        path, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    )
    request = model.create_infer_request()
    return lambda image: lambda: next(iter(request.infer([image], share_outputs=True).values()))


def right(path: Path, split: Split, images: int) -> NDArray[np.bool_]:
    """Which of the first images (images,) a file tells rightly."""
    model = opened(path)
    chosen = np.arange(min(images, len(split)))
    found = np.array([model(each[None])().argmax() for each in split.pixels(chosen)])
    told: NDArray[np.bool_] = found == split.labels[chosen]
    return told


def in_turn(
    paths: dict[str, Path], rounds: int, pixels: NDArray[np.float32]
) -> dict[str, list[float]]:
    """Medians in ms of `RUNS` inferences of each file, (rounds,); in each round all in turn, from
    another one on."""
    models = {name: opened(path) for name, path in paths.items()}
    fed = {name: [model(each[None]) for each in pixels] for name, model in models.items()}
    samples: dict[str, list[float]] = {name: [] for name in paths}
    names = list(paths)
    for turn in range(rounds + 3):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times = []
            for run in range(RUNS + 2):
                infer = fed[name][run % len(pixels)]
                begun = time.perf_counter()
                infer()
                times.append(1e3 * (time.perf_counter() - begun))
            if turn >= 3:  # the first rounds warm up
                samples[name].append(float(f"{np.median(times[2:]):.4g}"))
    return samples


@dataclass(frozen=True)
class Student:
    """Of one seed: what all tools get, and what is judged."""

    folder: Path
    made: dict[str, dict[str, Artifact]]
    """By our method."""

    @property
    def data(self) -> Path:
        return self.made[OURS]["data"].path

    def file(self, method: str, runtime: str, precision: str) -> Path:
        entries = self.made[method]["export"].json("export.json")["files"]
        (name,) = (each["file"] for each in entries
                   if (each["runtime"], each["precision"]) == (runtime, precision))  # fmt: skip
        return self.made[method]["export"].file("files") / str(name)


def student(seed: int, asked: argparse.Namespace, cache: Cache) -> Student:
    """Trained, exported, and laid where the tools find it."""
    common = (*COMMON, *WAYS["soft targets"], f"data.limit={asked.limit}",
              f"stages.distill.epochs={asked.epochs}", f"stages.teach.views={asked.views}",
              f"seed={seed}")  # fmt: skip
    wanted = {
        name: recipe(*common, f"stages.quantize={method}") for name, method in METHODS.items()
    }
    made = {
        name: run_until(each, TARGET, cache, Quiet(), last="export")
        for name, each in wanted.items()
    }
    key = made[OURS]["export"].path.name
    found = Student(cache.root / "benchmarks" / "peers_quantization" / key, made)
    found.folder.mkdir(parents=True, exist_ok=True)
    for runtime, suffix in (("onnxruntime", "onnx"), ("litert", "tflite")):
        shutil.copy(found.file(OURS, runtime, "fp32"), found.folder / f"student.{suffix}")
    shutil.copytree(made[OURS]["distill"].path / "model", found.folder / "student",
                    dirs_exist_ok=True)  # fmt: skip
    settings = wanted[OURS].stages.quantize
    assert settings
    split = open_split(found.data, "train")
    batches = calibration(split, settings.calibration_samples, seed)
    np.savez(found.folder / "calibration.npz",
             images=np.concatenate([each[0].numpy() for each in batches]))  # fmt: skip
    return found


def quantized(peer: str, where: Environment, of: Student) -> dict[str, Any]:
    """What a tool made of a student: `made.json` of its side, and `file`, the best on validation;
    kept, so that it outlives a kill."""
    out = of.folder / peer
    if where.failed:
        return {"failed": {"pip": where.failed}}
    if not (out / "made.json").exists():
        command = [where.python, "-m", "benchmarks.quantizers_side", peer, str(of.folder)]
        with (of.folder / f"{peer}.log").open("w") as log:
            subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, check=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
    found: dict[str, Any] = json.loads((out / "made.json").read_text())
    split, scores = open_split(of.data, "validation"), {}
    for name in found["seconds"]:
        try:
            scores[name] = 100.0 * float(right(out / name, split, len(split)).mean())
        except Exception as error:  # a runtime says what it does not take in its own words
            found["failed"][name] = f"{type(error).__name__}: {error}"[:600]
    found["validation"] = scores
    if scores:
        found["file"] = out / max(scores, key=lambda name: scores[name])
        found["settings"] = found["file"].stem
    print(f"{NAMES[peer]}: {scores} {found['failed']}", flush=True)
    return found


def judged(
    paths: dict[str, Path], data: Path, images: int, rounds: int
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, list[float]]]:
    """`right` of each file of a runtime, and `in_turn` of all: in a process of its own, where no
    other runtime's threads are."""
    split = open_split(data, "test")
    times = in_turn(paths, rounds, split.pixels(np.arange(16)))
    return {name: right(path, split, images) for name, path in paths.items()}, times


def apart(*arguments: Any) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(judged, *arguments).result()


def rows_of(
    students: list[Student], tried: dict[str, list[dict[str, Any]]],
    environments: dict[str, Environment], rounds: int, images: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each file kind: our own first, in each runtime."""
    rows = []
    for runtime in RUNTIMES:
        peers = [each for each in tried if RUNS_IN.get(each, "onnxruntime") == runtime]
        files: list[dict[str, Path]] = []
        for place, each in enumerate(students):
            mine = {name: each.file(name, runtime, "int8") for name in METHODS}
            theirs = {NAMES[peer]: tried[peer][place]["file"] for peer in peers
                      if "file" in tried[peer][place]}  # fmt: skip
            files.append({"float32": each.file(OURS, runtime, "fp32"), **mine, **theirs})
        told, times = [], []
        for each, paths in zip(students, files, strict=True):
            found, samples = apart(paths, each.data, images, rounds)
            told.append(found)
            times.append(samples)
        common = [name for name in files[0] if all(name in paths for paths in files)]
        for name in common:
            mean, std = mean_and_std([100.0 * float(each[name].mean()) for each in told])
            ratios = [np.array(each[OURS]) / np.array(each[name]) for each in times]
            row = {
                "name": name, "runtime": runtime, "accuracy_mean": mean, "accuracy_std": std,
                **ahead([each[OURS] for each in told], [each[name] for each in told]),
                "size_kb": float(np.mean([size_of(paths[name]) for paths in files])) / 1e3,
                "p50_ms": float(np.median([each[name] for each in times])),
                "our_latency": float(np.median(ratios)),
                "samples": [100.0 * float(each[name].mean()) for each in told],
                "our_latency_samples": [float(np.median(each)) for each in ratios],
                "samples_ms": [each[name] for each in times],
            }  # fmt: skip
            row["qat_ahead"] = ahead([each[TRAINED] for each in told],
                                     [each[name] for each in told])  # fmt: skip
            row["as_accurate"] = row["ahead_high"] >= 0
            row["as_fast"] = row["our_latency"] <= 1.02
            rows.append(row)
            print({key: row[key] for key in row if "samples" not in key}, flush=True)
        for peer in peers:
            row = next((each for each in rows if each["name"] == NAMES[peer]), None)
            if row is None:
                row = {"name": NAMES[peer], "runtime": runtime}
                rows.append(row)
            row |= told_of(tried[peer], environments[peer])
    own = next(each for each in rows if each["name"] == OURS)
    own["whole_mb"] = whole_mb(["edgedistill"])
    return rows


def told_of(tried: list[dict[str, Any]], where: Environment) -> dict[str, Any]:
    """How a tool was tried, what failed, and what it costs to have."""
    return {
        "settings": ", ".join(dict.fromkeys(each.get("settings", "-") for each in tried)),
        "chosen": [each.get("settings") for each in tried],
        "validation": [each.get("validation") for each in tried],
        "seconds_to_quantize": [each.get("seconds") for each in tried],
        "failed": [each["failed"] for each in tried],
        "versions_there": tried[0].get("versions"),
        "pip": list(where.asked),
        "whole_mb": tried[0].get("whole_mb"),
        "beside_mb": where.beside_mb,
        "install_seconds": where.seconds,
        "install_failed": where.failed,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=LIMIT, help="training images")
    parser.add_argument("--epochs", type=float, default=EPOCHS)
    parser.add_argument("--views", type=int, default=8, help="of each image by the teacher")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--images", type=int, default=10_000, help="of the test set")
    parser.add_argument("--peers", nargs="*", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--name", default="peers_quantization", help="of the result file")
    parser.add_argument("--cache", type=Path, default=default_root())
    asked = parser.parse_args()
    cache = Cache(asked.cache, print)
    environments = {
        peer: environment(asked.environments / peer, APART[peer]) if peer in APART else HERE
        for peer in asked.peers
    }
    students = [student(seed, asked, cache) for seed in asked.seeds]
    tried = {
        peer: [quantized(peer, where, each) for each in students]
        for peer, where in environments.items()
    }
    rows = rows_of(students, tried, environments, asked.rounds, asked.images)
    write(
        asked.name, rows, seeds=asked.seeds, test_images=asked.images,
        student="ResNet-8", epochs=asked.epochs, calibration_images=CALIBRATION,
        threads=1, rounds=asked.rounds, runs=RUNS, target=TARGET.name,
        processor="with VNNI; without it untested" if WITH_VNNI else
        "without VNNI; with it untested",
        data=f"CIFAR-10, JPEG copy, {asked.limit} training images",
    )  # fmt: skip


if __name__ == "__main__":
    main()
