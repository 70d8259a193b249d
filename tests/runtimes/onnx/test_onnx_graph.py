from __future__ import annotations

import numpy as np
import onnx
from exported import Exported


def test_weights_are_int8_and_biases_int32(exported: Exported) -> None:
    graph = onnx.load(exported.file("onnxruntime", "int8")).graph
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            weight, bias = (makers[name] for name in node.input[1:3])
            assert stored[weight.input[0]].dtype == np.int8
            assert stored[bias.input[0]].dtype == np.int32
    large = [array for array in stored.values() if array.dtype == np.float32 and array.ndim > 1]
    assert large == []


def test_mean_over_the_image_is_a_pool_with_an_integer_kernel(exported: Exported) -> None:
    kinds = [node.op_type for node in onnx.load(exported.file("onnxruntime", "int8")).graph.node]
    assert "GlobalAveragePool" in kinds
    assert "ReduceMean" not in kinds


def test_batch_is_dynamic(exported: Exported) -> None:
    assert exported.file_entry("onnxruntime", "int8").input.shape == (None, 3, 8, 8)


def test_half_floats_inside_and_floats_at_the_boundary(exported: Exported) -> None:
    graph = onnx.load(exported.file("onnxruntime", "fp16")).graph
    weights = [each for each in graph.initializer if len(each.dims) > 1]
    assert {each.data_type for each in weights} == {onnx.TensorProto.FLOAT16}
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_attributes_say_only_what_differs_from_an_operator_by_itself(exported: Exported) -> None:
    convolutions = [
        node for node in onnx.load(exported.file("onnxruntime", "int8")).graph.node
        if node.op_type == "Conv"
    ]  # fmt: skip
    told = [{each.name for each in node.attribute} for node in convolutions]
    assert all(names <= {"kernel_shape", "pads", "strides", "group"} for names in told)
    strides = [each.ints for node in convolutions for each in node.attribute
               if each.name == "strides"]  # fmt: skip
    assert all(set(each) != {1} for each in strides)
    assert any("pads" in names for names in told)
