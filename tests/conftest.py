"""A compile's result without the compile: tiny ONNX files and made-up figures."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import exported, exported_in_7_bits  # noqa: F401
from made import (
    SIZE,
    data_record,
    file_entry,
    in_turn,
    measurement_row,
    verify_row,
    write_onnx,
)

from edgedistill.artifact import Artifact, seal
from edgedistill.recipe import parse_recipe
from edgedistill.records import (
    ExportRecord,
    Fidelity,
    LayerSensitivity,
    MeasurementsRecord,
    Quantization,
    QuantizeRecord,
    VerifyRecord,
)
from edgedistill.target import Scheme, load_target

# Threads that wait for each other lose far more on a busy machine than they win on tiny models.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LABELS = ["bird", "cat", "ship"]
RECIPE = {
    "name": "tiny",
    "data": {"source": "digits", "image_size": SIZE},
    "teacher": {"family": "resnet_cifar", "depth": 14},
    "student": {"family": "resnet_cifar", "depth": 8},
    "stages": {"teacher": {"train": {}}, "prune": {"speedup": 2}},
    "contract": {"max_drop": 3, "max_size_kb": 50, "max_latency_ms": 5},
}


def pytest_collection_finish() -> None:
    """What was imported stays, and needs no looking through for garbage again and again; graphs
    are made of many small objects, after every few hundred of which all would be looked through."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def _nothing_twice() -> None:
    """What torch does for each graph and file anew: it reads its table of ONNX functions from their
    source text, looks for operators once for each of its many namespaces, and notes at each node
    which lines of code, down to pytest's, have led there."""
    from torch._export import utils
    from torch.fx import config
    from torch.onnx._internal.exporter import _registration

    table = _registration.onnxscript_apis
    table.get_torchlib_ops = functools.cache(table.get_torchlib_ops)
    utils._materialize_cpp_cia_ops = _unless_as_before(utils._materialize_cpp_cia_ops)
    config.do_not_emit_stack_traces = True


def _unless_as_before(look: Callable[[], None]) -> Callable[[], None]:
    """`look`, where there are operators that it has not seen."""
    import torch

    seen: set[int] = set()

    def look_once() -> None:
        key = "CompositeImplicitAutograd"
        known = len(torch._C._dispatch_get_registrations_for_dispatch_key(key))
        if known not in seen:
            seen.add(known)
            look()

    return look_once


@pytest.fixture(scope="module")
def quickly() -> Iterator[None]:
    """Compiles of a module rehearse nothing, and their latencies are made up: other tests are about
    both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgedistill.pipeline.rehearse", lambda *_: None)
        patch.setattr("edgedistill.stages.benchmark.in_turn", in_turn)
        yield


@pytest.fixture
def tiny_onnx(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "tiny.onnx")


@pytest.fixture
def make_result(tmp_path: Path) -> Callable[..., Any]:
    """`make_result(target, **changes of the recipe)`: a finished compile."""

    def make(target: str = "linux-x64", **changes: Any) -> Any:
        from edgedistill.pipeline import Result

        root = tmp_path / f"artifacts-{target}-{len(list(tmp_path.iterdir()))}"
        recipe = parse_recipe({**RECIPE, **changes}, "test")
        return Result(recipe, load_target(target), _artifacts(root))

    return make


def _artifacts(root: Path) -> dict[str, Artifact]:
    rng = np.random.default_rng(0)
    made: dict[str, Artifact] = {}

    def put(name: str, metrics: dict[str, Any], fill: Callable[[Path], object]) -> None:
        folder = root / name
        folder.mkdir(parents=True)
        fill(folder)
        made[name] = seal(folder, name, metrics, {})

    def data(folder: Path) -> None:
        data_record(LABELS, SIZE, 1).write(folder)
        for split in ("validation", "test"):
            (folder / split).mkdir()
            images = rng.integers(0, 256, (12, SIZE, SIZE, 1), np.uint8)
            np.save(folder / split / "images.npy", images)
            np.save(folder / split / "labels.npy", np.arange(12) % 3)
            np.save(folder / split / "samples.npy", np.arange(12))

    def weights(kilobytes: int) -> Callable[[Path], object]:
        def fill(folder: Path) -> None:
            (folder / "model").mkdir()
            (folder / "model" / "weights.safetensors").write_bytes(bytes(1000 * kilobytes))

        return fill

    put("data", {"counts": {"train": 100, "validation": 12, "test": 12}}, data)
    for name, score, macs, size in (
        ("teacher", 96.0, 20.0, 400),
        ("distill", 95.0, 8.0, 120),
        ("prune", 94.5, 4.0, 60),
    ):
        metrics = {"validation_quality": score, "macs": macs, "params": size / 4, "seconds": 2.0}
        put(name, metrics, weights(size))
    put(
        "quantize", {"validation_quality": 94.0, "seconds": 1.0},
        lambda folder: QuantizeRecord(QUANTIZED).write(folder),
    )  # fmt: skip
    put("export", {"seconds": 1.0}, _export)
    put("verify", {"seconds": 1.0}, _verify)
    put("audit", AUDITED, _audit)
    put("benchmark", {}, lambda folder: MeasurementsRecord(MEASURED).write(folder))
    return made


def _export(folder: Path) -> None:
    (folder / "files").mkdir()
    entries = []
    for precision in ("fp32", "int8"):
        path = write_onnx(folder / "files" / f"tiny.{precision}.onnx")
        entries.append(file_entry(precision, bytes=path.stat().st_size, executed=4))
    ExportRecord(tuple(entries), tuple(LABELS), ()).write(folder)


def _verify(folder: Path) -> None:
    (folder / "golden").mkdir()
    pixels = np.random.default_rng(1).random((4, 1, SIZE, SIZE), dtype=np.float32)
    np.save(folder / "golden" / "inputs.npy", pixels)
    logits = pixels.mean((1, 2, 3))[:, None] * np.float32([[-1.0, 0.2, 2.0]])
    for precision in ("fp32", "int8"):
        outputs = logits + np.float32([0.5, 0.3, -0.5])
        np.save(folder / "golden" / f"outputs_tiny.{precision}.onnx.npy", outputs)
    rows = verify_row("fp32", 94.25), verify_row("int8", 94.0)
    torch = {"teacher": 95.5, "distill": 94.6, "prune": 94.25, "float": 94.25, "int8": 94.1}
    VerifyRecord(True, rows, torch, 12).write(folder)


QUANTIZED = Quantization(
    method="qat",
    scheme=Scheme(),
    fidelity=Fidelity(30.0, 32.0, 99.0),
    kept_in_float=("linear",),
    sensitivity=tuple(
        LayerSensitivity(name, True, drop, 20.0)
        for name, drop in (("stem", 1.25), ("linear", 0.5), ("body", 0.0))
    ),
    layers=(),
    float_layers=(),
    quantize_nodes=0,
    dequantize_nodes=0,
)
MEASURED = (
    measurement_row("teacher", "torch", "fp32", 2.0),
    measurement_row("teacher", "onnxruntime", "fp32", 1.0),
    measurement_row("distill", "onnxruntime", "fp32", 0.4),
    measurement_row("student", "onnxruntime", "fp32", 0.2),
    measurement_row("student", "onnxruntime", "int8", 0.1),
)
AUDITED = {
    "worst_class": 0.9, "worst_class_name": "cat", "calibration_error": 2.5, "copied_errors": 0.4,
    "robustness": 0.8, "seconds": 1.0,
}  # fmt: skip


def _audit(folder: Path) -> None:
    from edgedistill.records import AuditRecord
    from edgedistill.records.audit import Corruption, OutOfDistribution
    from edgedistill.tasks import drift, routing
    from edgedistill.tasks.audit import audit, drops, ood

    random = np.random.default_rng(2)
    labels = np.arange(300) % 3
    teacher = random.normal(size=(300, 3)).astype(np.float32)
    teacher[np.arange(300), labels] += 3
    student = teacher + random.normal(size=(300, 3)).astype(np.float32)
    pair = routing.Pair(student, teacher, labels)
    AuditRecord(
        file="tiny.int8.onnx",
        images=300,
        order=("teacher", "shipped"),
        students={"shipped": audit(student, teacher, labels, LABELS, [10, 20, 30])},
        drops=drops({"prune": teacher, "shipped": student}, labels),
        corruptions=(Corruption("none", 0, {"teacher": 90.0, "shipped": 80.0}),),
        out_of_distribution=OutOfDistribution("noise", {"shipped": ood(student, student / 2)}),
        coverage=None,
        temperature=1.5,
        routing=routing.audited(pair, pair, 1.5, 0.5),
        reference=drift.describe(student),
    ).write(folder)
