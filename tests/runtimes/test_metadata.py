from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from exported import LABELS, Exported

from edgedistill.records import as_json
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.native import read_description
from edgedistill.signature import Signature

PRECISIONS = ["fp32", "fp16", "int8"]


def _check(text: str, exported: Exported, runtime: str, precision: str) -> None:
    entry, words = exported.entry(runtime, precision), json.loads(text)
    assert words["labels"] == LABELS
    assert words["precision"] == precision
    assert words["name"] == "tiny"
    assert as_json(read_description(text)) == entry["signature"]
    (taken,) = words["signature"]["inputs"]
    assert (taken["name"], taken["range"]) == ("pixels", [0, 1])
    assert [each["name"] for each in words["signature"]["outputs"]] == ["logits"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tflite_file_describes_itself(exported: Exported, precision: str) -> None:
    from edgedistill.runtimes.tflite.file import File

    file = File.read(exported.file("litert", precision))
    text = file.attached("edgedistill")
    assert text is not None
    _check(text.decode(), exported, "litert", precision)
    signature = file.model.signatureDefs[0]
    assert signature.inputs[0].name == b"pixels"
    assert signature.outputs[0].name == b"logits"
    assert signature.inputs[0].tensorIndex == file.graph.inputs[0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_onnx_file_describes_itself(exported: Exported, precision: str) -> None:
    import onnx

    model = onnx.load(exported.file("onnxruntime", precision))
    words = {each.key: each.value for each in model.metadata_props}
    _check(words["edgedistill"], exported, "onnxruntime", precision)
    assert json.loads(words["labels"]) == LABELS
    assert all(not node.metadata_props for node in model.graph.node)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_openvino_file_describes_itself(exported: Exported, precision: str) -> None:
    import openvino

    model = openvino.Core().read_model(exported.file("openvino", precision))
    text = model.get_rt_info(["edgedistill", "description"]).astype(str)
    _check(text, exported, "openvino", precision)


def test_no_file_tells_of_this_machine(exported: Exported) -> None:
    for path in exported.export.file("files").iterdir():
        content = path.read_bytes()
        assert b"/home/" not in content
        assert b"site-packages" not in content
        assert str(exported.data.path).encode() not in content


def in_format_3(spec: Spec, signature: Signature) -> str:
    """What files of bundles of format 3 say of themselves."""
    (pixels,), (logits,) = signature.inputs, signature.outputs
    ends = {"pixels": asdict(pixels), "logits": asdict(logits)}
    return json.dumps(
        {"name": spec.name, "precision": spec.precision, **ends, "labels": spec.labels}
    )


@pytest.mark.parametrize("runtime", STANDARD)
def test_files_of_format_3_are_still_read(
    exported: Exported, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{RUNTIMES[runtime].in_file}.describe", in_format_3)
    today = exported.file(runtime, "int8")
    path = tmp_path / today.name
    spec = Spec("int8", tuple(LABELS), "integer", "tiny")
    RUNTIMES[runtime].write(exported.program("int8"), path, spec)
    assert path.read_bytes() != today.read_bytes()
    old, new = (RUNTIMES[runtime].load(each, optimize=False) for each in (path, today))
    assert old.signature == new.signature
    pixels = exported.pixels(3)
    assert (old(pixels) == new(pixels)).all()
