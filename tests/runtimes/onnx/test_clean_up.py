"""ONNX graphs give what they gave, with less in them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.program import Program, graph_of
from edgedistill.runtimes import Spec
from edgedistill.runtimes.onnx import clean_up
from edgedistill.runtimes.onnx import graph as onnx_graph
from edgedistill.runtimes.program import output_scale
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

SIZE = 8


class Attentive(nn.Module):
    """Patches as tokens, one that attends to them, and a linear layer over each."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.linear, self.head = nn.Linear(8, 12), nn.Linear(12, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)
        normal = self.norm(tokens)
        tokens = tokens + self.attention(normal, normal, normal, need_weights=False)[0]
        logits: Tensor = self.head(torch.relu(self.linear(tokens)).mean(1))
        return logits


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def floats() -> Program:
    torch.manual_seed(0)
    return fold(Attentive().eval(), image_inputs(3, SIZE, SIZE))


@pytest.fixture(scope="module")
def integers(floats: Program, pixels: Tensor) -> Program:
    prepared = prepare(floats, Scheme())
    calibrate(prepared, [(pixels,)])
    return convert(prepared)


def kinds(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def answers(model: Any, pixels: Tensor) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"pixels": pixels.numpy()})[0]


def before_and_after(made: Program, precision: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = Spec(precision, ("a", "b", "c"), "float")
    after, _ = onnx_graph.build(made, spec)
    monkeypatch.setattr(onnx_graph, "clean_up", lambda graph: None)
    before, _ = onnx_graph.build(made, spec)
    onnx.checker.check_model(after, full_check=True)
    return before, after


def test_attention_is_exported_without_turning_the_batch_and_gives_the_same(
    floats: Program, pixels: Tensor
) -> None:
    torch.manual_seed(0)
    module = Attentive().eval()
    with torch.no_grad():
        # torch's own products may sum in another order where the layout is another.
        torch.testing.assert_close(graph_of(floats)(pixels), module(pixels), atol=1e-6, rtol=0)
    found = kinds(onnx_graph.build(floats, Spec("fp32", ("a", "b", "c"), "float"))[0])
    # Of patches to tokens; of the queries, keys, values and the answer.
    assert found["Transpose"] == 5
    assert found["Shape"] == found["Slice"] == found["Unsqueeze"] == found["Squeeze"] == 0


def test_a_linear_layer_over_tokens_is_one_gemm_with_the_same_answers(
    floats: Program, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = before_and_after(floats, "fp32", monkeypatch)
    assert (kinds(before)["Gemm"], kinds(after)["Gemm"]) == (1, 4)
    # Query by key, and attention by value.
    assert (kinds(before)["MatMul"], kinds(after)["MatMul"]) == (5, 2)
    assert kinds(before)["Add"] - kinds(after)["Add"] == 3
    # A Gemm may begin its sums with the bias.
    np.testing.assert_allclose(answers(after, pixels), answers(before, pixels), atol=1e-6)


def test_between_integers_the_bias_is_one_too_and_the_keys_are_turned_once(
    integers: Program, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = before_and_after(integers, "int8", monkeypatch)
    assert kinds(after)["Transpose"] == 5
    # The keys' second turn, and those of stored weights.
    assert kinds(before)["Transpose"] > 6
    stored = {each.name: each.data_type for each in after.graph.initializer}
    makers = {node.output[0]: node for node in after.graph.node}
    biases = [makers[node.input[2]] for node in after.graph.node if node.op_type == "Gemm"]
    assert len(biases) == 4
    assert {stored[node.input[0]] for node in biases} == {onnx.TensorProto.INT32}
    step = output_scale(integers)
    assert step is not None
    # Rounded once more on the way: equal, or a step apart.
    assert np.abs(answers(after, pixels) - answers(before, pixels)).max() <= 1.01 * step


def test_transposes_of_each_other_become_one() -> None:
    made, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [made("Transpose", ["x"], ["a"], perm=[0, 2, 1, 3]),
         made("Transpose", ["a"], ["y"], perm=[0, 1, 3, 2]),
         made("Neg", ["x"], ["unread"])],
        "turns", [value("x", real, [1, 2, 3, 4])], [value("y", real, [1, 3, 4, 2])],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    pixels = torch.rand(1, 2, 3, 4)
    clean_up.clean_up(graph_in := model.graph)
    assert kinds(model) == {"Transpose": 1}
    assert graph_in.node[0].output == ["y"]
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"x": pixels.numpy()})
    np.testing.assert_array_equal(found, pixels.permute(0, 2, 3, 1).numpy())


def test_what_the_graph_gives_is_left_as_it_is() -> None:
    made, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [made("Transpose", ["x"], ["a"], perm=[1, 0]),
         made("Transpose", ["a"], ["y"], perm=[1, 0])],
        "turns", [value("x", real, [1, 2])],
        [value("a", real, [2, 1]), value("y", real, [1, 2])],
    )  # fmt: skip
    clean_up.clean_up(graph)
    assert len(graph.node) == 2
