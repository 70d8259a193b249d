"""Records as stages leave them, for tests that start in the middle of a compile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.devices.job import Device, Job, Record
from edgedistill.records import (
    DataRecord,
    Duplicates,
    FileEntry,
    MeasurementRow,
    OperatorRow,
    Pictures,
    VerifyRow,
)
from edgedistill.signature import Signature, TensorSpec, image_inputs

SIZE = 8


def write_onnx(path: Path) -> Path:
    """Logits (batch, 3) that grow with the brightness of an image (batch, 1, 8, 8)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.array([[-1.0, 0.2, 2.0]], np.float32)
    bias = np.array([0.5, 0.3, -0.5], np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def data_record(
    classes: Sequence[str] = ("a", "b"),
    image_size: int = 8,
    channels: int = 3,
    task: str = "classification",
    **other: Any,
) -> DataRecord:
    """A record of the stage `data`; the classes are the labels too unless others are given."""
    fields: dict[str, Any] = {
        "labels": tuple(classes), "captions": tuple(classes), "own_test": True,
        "pictures": Pictures((image_size, image_size), "crop", channels), "arrays": (),
        "counts": {"train": 100, "validation": 12, "test": 12},
        "unlabelled": 0, "class_counts": {}, "duplicates": Duplicates({}, {}, ()), "skipped": (),
    }  # fmt: skip
    return DataRecord(
        task=task, classes=tuple(classes), **fields | other,
    )  # fmt: skip


def file_entry(precision: str = "int8", **other: Any) -> FileEntry:
    """A file that takes grey images of 8 x 8 and gives three values, in ONNX Runtime."""
    fields: dict[str, Any] = {
        "runtime": "onnxruntime", "precision": precision, "file": f"tiny.{precision}.onnx",
        "bytes": 1000, "operators": {"Gemm": 1}, "transposes": 0,
        "signature": Signature(
            image_inputs(1, 8, 8), (TensorSpec("logits", (None, 3), "NC"),)
        ),
    }  # fmt: skip
    return FileEntry(**fields | other)


def verify_row(precision: str, quality: float, **other: Any) -> VerifyRow:
    """Of `file_entry(precision)`, which is right."""
    fields: dict[str, Any] = {
        "runtime": "onnxruntime", "precision": precision, "file": f"tiny.{precision}.onnx",
        "quality": quality, "further": {}, "agreement": 0.998, "max_difference": 0.01,
        "mean_difference": 0.001, "max_steps": 1.0, "mean_steps": 0.01, "within_step": 0.999,
        "missed": (), "cause": None, "verdict": "", "first_diverging": None, "plain_kernels": None,
        "layers": (), "ok": True,
    }  # fmt: skip
    return VerifyRow(**fields | other)


def in_turn(device: Device, jobs: Sequence[Job], *_: Any) -> list[Record]:
    """As if a device had measured them."""
    return [Record(4.0, 2.0, [0.1] * 12, 6.5) for _ in jobs]


def measurement_row(
    model: str = "student",
    runtime: str = "onnxruntime",
    precision: str = "int8",
    p50_ms: float = 0.1,
    **other: Any,
) -> MeasurementRow:
    """Measured on a test's machine; an exported file is that of `file_entry(precision)`."""
    fields: dict[str, Any] = {
        "import_ms": 90.0, "cold_load_ms": 4.0, "warm_load_ms": 2.0, "p90_ms": 1.1 * p50_ms,
        "p99_ms": 1.3 * p50_ms, "peak_memory_mb": 6.5, "threads": 1, "how": "measured",
        "samples_ms": tuple(p50_ms * (1 + 0.01 * (place % 7)) for place in range(40)),
        "where": "this machine: a test (x86_64, 2 cores)",
        "operators": (OperatorRow("conv1", "Conv", "int8", 12.5, "CPUExecutionProvider"),),
        "file": f"tiny.{precision}.onnx" if model == "student" else None,
    }  # fmt: skip
    return MeasurementRow(
        model=model, runtime=runtime, precision=precision, p50_ms=p50_ms, **fields | other
    )
