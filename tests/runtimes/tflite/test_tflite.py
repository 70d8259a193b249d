from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from exported import SIZE, Exported, compare_layers
from torch import nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.program import Program
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.tflite.arena import arena_bytes
from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.layout import remove_transposes
from edgedistill.runtimes.tflite.transposes import transposes_left
from edgedistill.signature import Signature, TensorSpec, image_inputs
from edgedistill.target import Scheme


def test_each_layer_alone_is_within_a_step(exported: Exported) -> None:
    rows = compare_layers(
        exported.file("litert", "int8"), exported.program("int8"), exported.pixels(4)
    )
    assert {"stem.0", "body.0", "down.0", "add", "pad", "linear"} <= {row["layer"] for row in rows}
    assert max(row["max_steps"] for row in rows) <= 1


def test_a_spoiled_layer_is_found_alone(exported: Exported, tmp_path: Path) -> None:
    file = File.read(exported.file("litert", "int8"))
    conv = next(each for each in file.operators if file.tensor(each.outputs[0]).name == b"body.0")
    weights = file.constant(conv.inputs[1])
    assert weights is not None
    conv.inputs[1] = file.add_constant(weights // 2, conv.inputs[1])
    path = tmp_path / "spoiled.tflite"
    path.write_bytes(file.pack())
    rows = compare_layers(path, exported.program("int8"), exported.pixels(4))
    assert [row["layer"] for row in rows if row["max_steps"] > 1] == ["body.0"]


def test_strided_slices_are_one_and_nothing_is_transposed(exported: Exported) -> None:
    kinds = File.read(exported.file("litert", "int8")).count()
    assert kinds["STRIDED_SLICE"] == 1
    assert kinds["TRANSPOSE"] == 0
    assert kinds["CONV_2D"] == 3


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_tensor_has_a_name_of_its_own(exported: Exported, precision: str) -> None:
    tensors = File.read(exported.file("litert", precision)).graph.tensors
    names = [bytes(tensor.name) for tensor in tensors]
    assert len({*names}) == len(names)
    assert all(names)


def test_stored_values_lie_at_multiples_of_sixteen(exported: Exported) -> None:
    content = exported.file("litert", "int8").read_bytes()
    file = File(content)
    for tensor in file.graph.tensors:
        data = file.model.buffers[tensor.buffer].data
        if data is not None and len(data) > 64:
            assert content.index(bytes(data)) % 16 == 0


def _file(permutations: list[tuple[int, ...]], kind: str = "RELU") -> File:
    """TRANSPOSE, an operator, TRANSPOSE ... on a (1, 4, 4, 2) tensor."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers = 3, [], [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []
    model.subgraphs, model.metadata = [graph], []
    file = File.__new__(File)
    file.model, file.graph = model, graph
    shape = np.array((1, SIZE, SIZE, 2))
    last = file.add_tensor(tuple(shape))
    graph.inputs = [last]
    order = file.add_tensor((4,))
    file.tensor(order).type = schema.TensorType.INT32
    for permutation in permutations:
        constant = file.add_constant(np.array(permutation, np.int32), order)
        shape = shape[list(permutation)]
        for name, inputs in (("TRANSPOSE", [last, constant]), (kind, [])):
            last, source = file.add_tensor(tuple(shape)), last
            file.operators.append(file.new_operator(name, inputs or [source], [last]))
    graph.outputs = [last]
    return file


def test_transposes_that_undo_each_other_disappear() -> None:
    file = _file([(0, 3, 1, 2), (0, 2, 3, 1)])
    remove_transposes(file)
    assert file.count() == {"RELU": 2}
    assert list(file.tensor(file.operators[0].outputs[0]).shape) == [1, SIZE, SIZE, 2]


def test_a_stretch_that_stays_channels_first_is_counted() -> None:
    file = _file([(0, 3, 1, 2), (0, 2, 3, 1)], "ARG_MAX")
    remove_transposes(file)
    assert transposes_left(file) == {
        "transposes": 2,
        "transposed_bytes": 2 * 4 * 2 * SIZE * SIZE,
        "transposed_around": ["ARG_MAX"],
    }


@pytest.mark.parametrize("count", [1, 2, 6])
def test_the_arena_holds_the_input_and_two_tensors_in_turn(count: int) -> None:
    """However long the chain: what is given stays until the end, what was read makes room."""
    assert arena_bytes(_file([(0, 3, 1, 2)] * count)) == 3 * 4 * 2 * SIZE * SIZE


def test_the_arena_of_each_tflite_file_is_told(exported: Exported) -> None:
    told = {key: exported.entry("litert", key)["arena_bytes"] for key in ("int8", "fp32")}
    assert 0 < 3 * told["int8"] < told["fp32"]
    assert exported.entry("onnxruntime", "int8")["arena_bytes"] is None


def test_weights_in_channels_last_order_are_not_mixed_up(tmp_path: Path) -> None:
    """Three kernels of one shape, as training leaves them in memory."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        *[nn.Conv2d(8, 8, 3, padding=1) for _ in range(3)],
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    ).to(memory_format=torch.channels_last)
    pixels = torch.rand(2, 3, SIZE, SIZE)
    batch = {0: torch.export.Dim("batch", min=1)}
    with torch.no_grad():  # torch's own export, as ours lays weights out anew
        exported = torch.export.export(network.eval(), (pixels,), dynamic_shapes=(batch,))
    outputs = (TensorSpec("logits", (None, 2), "NC"),)
    program = Program(exported, Signature(image_inputs(3, SIZE, SIZE), outputs))
    for name, weight in exported.state_dict.items():
        if weight.ndim == 4:
            assert not weight.is_contiguous(), f"{name}: nothing would be shown"
    path = tmp_path / "model.tflite"
    RUNTIMES["litert"].write(program, path, Spec("fp32", ("a", "b")))
    logits = RUNTIMES["litert"].load(path)(pixels.numpy())
    assert np.allclose(logits, network(pixels).detach().numpy(), atol=1e-5)


def test_an_image_that_is_flattened_is_not_compared_in_another_order(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * SIZE * SIZE // 4, 16),
        nn.ReLU(), nn.Linear(16, 4),
    )  # fmt: skip
    pixels = torch.rand(8, 3, SIZE, SIZE)
    prepared = prepare(fold(model.eval(), image_inputs(3, SIZE, SIZE)), Scheme())
    calibrate(prepared, [(pixels,)])
    quantized = convert(prepared)
    path = tmp_path / "flat.tflite"
    RUNTIMES["litert"].write(quantized, path, Spec("int8", tuple("abcd"), "float", "flat"))
    rows = compare_layers(path, quantized, pixels.numpy())
    assert {"0", "5"} <= {row["layer"] for row in rows}
    assert max(row["max_steps"] for row in rows) <= 1
