from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from exported import LABELS, Exported, Silent
from made import file_entry

from edgedistill.artifact import seal
from edgedistill.records import Executed, ExportRecord, FileEntry
from edgedistill.runtimes import size_of
from edgedistill.stages import STAGES, Context
from edgedistill.stages.export import Config, _fallen, _transposed


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
    told = [text for text in exported.metrics["warnings"] if text.startswith("tiny.int8.tflite")]
    assert told == []


def test_weights_of_a_file_of_the_same_name_are_not_another_runtimes(tmp_path: Path) -> None:
    for suffix in (".xml", ".bin", ".tflite"):
        (tmp_path / f"a{suffix}").write_bytes(b"four")
    sizes = {path.suffix: size_of(path) for path in tmp_path.iterdir()}
    assert (sizes[".xml"], sizes[".tflite"]) == (8, 4)


def test_float_alone_needs_no_quantized_program(exported: Exported, tmp_path: Path) -> None:
    config = Config(
        name="a", runtimes=("onnxruntime",), precisions=("fp32",), io="integer", processor=""
    )
    context = Context(tmp_path, 0, True, Silent(), tmp_path / "answers")
    inputs = {"data": exported.data, "quantize": exported.quantize}
    metrics = STAGES["export"].run(config, inputs, context)
    assert list(metrics["bytes"]) == ["a.fp32.onnx"]


def test_float_inside_an_int8_file_is_told() -> None:
    entry = file_entry(
        file="a.int8.tflite",
        runtime="litert",
        executed=12,
        float_operators=("ADD t9", "ADD t11", "MEAN t3"),
        float_counts={"ADD": 2, "MEAN": 1},
    )
    assert _fallen(replace(entry, float_operators=None)) == []
    assert _fallen(replace(entry, float_operators=())) == []
    assert _fallen(entry) == [
        "a.int8.tflite: 3 of 12 operators run in float in litert: ADD x 2, MEAN x 1"
    ]


def test_what_a_processor_decides_is_told_with_the_processor(monkeypatch: Any) -> None:
    entry = file_entry(
        file="a.int8.onnx",
        executed=5,
        float_operators=("Conv a",),
        float_counts={"Conv": 1},
        arm64=Executed(4, {}),
    )
    for flags, words in (([], "without int8 dot products"), (["avx512_vnni"], "avx512_vnni")):
        found = {"isa": "x86_64", "flags": flags}
        monkeypatch.setattr("edgedistill.stages.export.machine", lambda found=found: found)
        assert _fallen(entry) == [
            "a.int8.onnx: 1 of 5 operators run in float in onnxruntime on this processor "
            f"(x86_64, {words}): Conv x 1; on arm64 0 of 4 operators run in float"
        ]


def test_transposes_that_are_left_are_told_with_their_cost() -> None:
    entry = file_entry(
        file="a.int8.tflite",
        transposes=2,
        transposed_bytes=2048,
        transposed_around=("RESHAPE", "TOPK_V2"),
    )
    assert _transposed(replace(entry, transposed_bytes=0)) == []
    assert _transposed(replace(entry, transposed_bytes=None)) == []
    assert _transposed(entry) == [
        "a.int8.tflite: 2 transposes are left around RESHAPE, TOPK_V2: right, and slower, as "
        "2.0 KB are moved in each inference"
    ]


def _export_as(
    exported: Exported, folder: Path, integers: Literal["auto", "signed", "unsigned"] | None
) -> FileEntry:
    config = Config(
        name="a", runtimes=("onnxruntime",), precisions=("int8",), io="integer", processor="",
        integers=integers,
    )  # fmt: skip
    context = Context(folder, 0, True, Silent(), folder / "answers")
    inputs = {"data": exported.data, "quantize": exported.quantize}
    metrics = STAGES["export"].run(config, inputs, context)
    return ExportRecord.read(seal(folder, "export", metrics, {})).files[0]


def test_pinned_integers_are_not_measured(exported: Exported, tmp_path: Path) -> None:
    entry = _export_as(exported, tmp_path, "unsigned")
    assert entry.integers is not None
    assert (entry.integers.integers, entry.integers.why) == ("unsigned", "the recipe says so")
    assert entry.input.dtype == "int8"
    assert entry.integers.ratio is None


def test_nobody_measures_for_another_target(exported: Exported, tmp_path: Path) -> None:
    entry = _export_as(exported, tmp_path, None)
    assert entry.integers is not None
    assert entry.integers.integers == "signed"
    assert entry.integers.why.startswith("this machine is not of the target's kind")


def test_measured_integers_are_those_that_pay(exported: Exported, tmp_path: Path) -> None:
    choice = _export_as(exported, tmp_path, "auto").integers
    assert choice is not None
    assert choice.ratio is not None
    assert len(choice.signed_ms) == len(choice.unsigned_ms) == 5
    assert choice.integers == ("unsigned" if choice.ratio <= 0.95 else "signed")
    assert f"{choice.ratio:.2f} times" in choice.why
