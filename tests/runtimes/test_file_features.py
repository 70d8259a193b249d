"""What enters a file's last layer with weights, read out of the file in every runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Exported

from edgedistill.runtimes import features


def head(exported: Exported) -> tuple[np.ndarray, np.ndarray]:
    """Weight (classes, dimensions) and bias of the network's last layer."""
    state: dict[str, Any] = {**exported.program("float").exported.state_dict}
    weight = next(each for each in state.values() if each.shape == (4, 16))
    bias = next(each for each in state.values() if each.shape == (4,))
    return weight.detach().numpy(), bias.detach().numpy()


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime", "openvino"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_last_layer_makes_the_logits_of_them(
    exported: Exported, runtime: str, precision: str
) -> None:
    seen = features.load(exported.file(runtime, precision), runtime)
    logits, found = seen(exported.pixels(6))
    weight, bias = head(exported)
    assert found.shape == (6, 16)
    close = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.1}[precision] * np.ptp(logits)
    assert np.abs(found @ weight.T + bias - logits).max() < close


def test_a_file_without_weights_has_none(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    values = [("pixels", ["batch", 3, 8, 8]), ("logits", ["batch", 3])]
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in values
    ]
    graph = helper.make_graph(nodes, "plain", tensors[:1], tensors[1:])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "a.onnx")
    assert features.load(tmp_path / "a.onnx", "onnxruntime") is None
