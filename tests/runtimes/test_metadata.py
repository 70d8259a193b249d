from __future__ import annotations

import json

import pytest
from exported import LABELS, Exported

PRECISIONS = ["fp32", "fp16", "int8"]


def _check(text: str, exported: Exported, runtime: str, precision: str) -> None:
    entry, words = exported.entry(runtime, precision), json.loads(text)
    assert words["labels"] == LABELS
    assert words["precision"] == precision
    assert words["name"] == "tiny"
    assert words["pixels"] == entry["input"]
    assert words["logits"] == entry["output"]
    assert words["pixels"]["range"] == [0, 1]


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
