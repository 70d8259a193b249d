from __future__ import annotations

from pathlib import Path

from exported import LABELS, Exported, Silent

from edgedistill.stages import STAGES, Context
from edgedistill.stages.export import Config, _fallen


def test_writes_each_precision_for_each_runtime(exported: Exported) -> None:
    files = {path.name for path in exported.export.file("files").iterdir()}
    stems = {f"tiny.{precision}" for precision in ("fp32", "fp16", "int8")}
    suffixes = (".tflite", ".onnx", ".xml", ".bin")
    assert files == {f"{stem}{suffix}" for stem in stems for suffix in suffixes}
    document = exported.export.json("export.json")
    assert document["labels"] == LABELS
    assert document["float_layers"] == []
    assert len(document["files"]) == 9


def test_sizes_count_openvinos_weights(exported: Exported) -> None:
    entry = exported.entry("openvino", "fp32")
    path = exported.file("openvino", "fp32")
    parts = [path, path.with_suffix(".bin")]
    assert entry["bytes"] == sum(part.stat().st_size for part in parts)
    assert exported.metrics["bytes"]["tiny.fp32.xml"] == entry["bytes"]
    assert exported.metrics["warnings"] == []


def test_float_alone_needs_no_quantized_program(exported: Exported, tmp_path: Path) -> None:
    config = Config(name="a", runtimes=("onnxruntime",), precisions=("fp32",), io="integer")
    context = Context(tmp_path, 0, True, Silent(), tmp_path / "answers")
    inputs = {"data": exported.data, "quantize": exported.quantize}
    metrics = STAGES["export"].run(config, inputs, context)
    assert list(metrics["bytes"]) == ["a.fp32.onnx"]


def test_float_inside_an_int8_file_is_told() -> None:
    entry = {
        "file": "a.int8.tflite",
        "precision": "int8",
        "float_operators": ["ADD t9"],
        "inner_pairs": 1,
    }
    assert _fallen({**entry, "precision": "fp32"}, []) == []
    assert _fallen({**entry, "float_operators": [], "inner_pairs": 0}, []) == []
    assert _fallen(entry, ["blocks.0.conv1"]) == []
    assert _fallen(entry, []) == [
        "a.int8.tflite: the runtime has no integer form of all that the graph quantizes; in "
        "float: ADD t9 (1 quantize/dequantize operators inside)"
    ]
