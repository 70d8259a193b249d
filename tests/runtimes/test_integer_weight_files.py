"""Files whose weights alone are int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from looked_up import SIGNATURE, TOKENS, WIDTH, LookedUp, tokens

from edgedistill.compress.fold import fold
from edgedistill.compress.weights import integer_weights
from edgedistill.models.programs import Method
from edgedistill.models.whisper.network import DECODE_STEP, ENCODE, Shape, Whisper
from edgedistill.program import Program, export, graph_of
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec, size_of
from edgedistill.signature import Signature, TensorSpec, blank

runtimes = pytest.mark.parametrize("runtime", STANDARD)
ROUNDING = 0.03
"""Of the largest answer: what rounding activations may change, too."""


def write(program: Program, runtime: str, folder: Path, activations: Any = "float") -> Path:
    path = folder / f"model.{activations}{RUNTIMES[runtime].suffix}"
    RUNTIMES[runtime].write(program, path, Spec("int8", (), activations=activations))
    return path


@pytest.fixture(scope="module")
def program() -> Program:
    return integer_weights(fold(LookedUp(), SIGNATURE), least=0)


@runtimes
def test_a_file_is_the_graph(runtime: str, program: Program, tmp_path: Path) -> None:
    with torch.no_grad():
        wanted = graph_of(program)(tokens()).numpy()
    for activations, tolerance in (("float", 1e-5), ("dynamic", ROUNDING)):
        loaded = RUNTIMES[runtime].load(write(program, runtime, tmp_path, activations))
        found = loaded(tokens().numpy())
        assert np.abs(found - wanted).max() < tolerance * np.abs(wanted).max()


@runtimes
def test_a_table_is_in_a_file_once(runtime: str, program: Program, tmp_path: Path) -> None:
    table = graph_of(program).get_buffer("table.weight_int8").numpy().tobytes()
    assert len(table) == TOKENS * WIDTH
    for activations in ("float", "dynamic"):
        path = write(program, runtime, tmp_path, activations)
        content = path.read_bytes()
        if path.suffix == ".xml":
            content = path.with_suffix(".bin").read_bytes()
        turned = graph_of(program).get_buffer("table.weight_int8").numpy().T.tobytes()
        assert content.count(table) + content.count(turned) == 1


def test_linear_layers_of_onnx_are_standard_operators(program: Program, tmp_path: Path) -> None:
    import onnx

    kinds = {}
    for activations in ("float", "dynamic"):
        graph = onnx.load(write(program, "onnxruntime", tmp_path, activations)).graph
        assert not any(node.domain for node in graph.node)
        kinds[activations] = [node.op_type for node in graph.node]
    assert "DequantizeLinear" not in kinds["float"]
    rounds = kinds["dynamic"]
    assert rounds.count("MatMulInteger") == 4
    assert not {"DequantizeLinear", "MatMul"} & set(rounds)


@pytest.mark.parametrize("rows", [1, 5])
def test_onnx_multiplies_integers_where_there_are_many_rows(rows: int, tmp_path: Path) -> None:
    import onnx

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.GELU(), torch.nn.Linear(48, 32))
    signature = Signature((TensorSpec("states", (rows, 64)),), (TensorSpec("answers", (rows, 32)),))
    program = integer_weights(fold(net.eval(), signature), least=0)
    path = write(program, "onnxruntime", tmp_path, "dynamic")
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert (kinds.count("MatMulInteger"), kinds.count("DequantizeLinear")) == (
        (0, 2) if rows == 1 else (2, 0)
    )
    states = torch.randn(rows, 64) * torch.logspace(-3, 3, rows)[:, None]
    with torch.no_grad():
        wanted = net(states).numpy()
    found = RUNTIMES["onnxruntime"].load(path)(states.numpy())
    apart, size = np.abs(found - wanted).max(1), np.abs(wanted).max(1)
    assert (apart < ROUNDING * size).all(), "a row among larger ones is as right as alone"


def test_onnx_takes_rows_of_nothing_for_nothing(tmp_path: Path) -> None:
    net = torch.nn.Linear(64, 32, bias=False)
    signature = Signature((TensorSpec("states", (4, 64)),), (TensorSpec("answers", (4, 32)),))
    program = integer_weights(fold(net, signature), least=0)
    path = write(program, "onnxruntime", tmp_path, "dynamic")
    assert not RUNTIMES["onnxruntime"].load(path)(np.zeros((4, 64), np.float32)).any()


def test_litert_unpacks_or_multiplies_integers(program: Program, tmp_path: Path) -> None:
    from edgedistill.runtimes.tflite.file import File

    exact = File.read(write(program, "litert", tmp_path, "float")).count()
    rounds = File.read(write(program, "litert", tmp_path, "dynamic")).count()
    assert exact["DEQUANTIZE"] == exact["FULLY_CONNECTED"] == rounds["FULLY_CONNECTED"] == 4
    assert not rounds["DEQUANTIZE"]


def test_litert_refuses_a_weight_that_is_not_in_the_file(program: Program) -> None:
    from edgedistill.runtimes.litert import _with_float_weights
    from edgedistill.runtimes.program import StoredWeight
    from edgedistill.runtimes.tflite.weights import store_weights

    file, _ = _with_float_weights(program)
    other = StoredWeight("other", np.ones((3, 3), np.int8), np.ones(3, np.float32))
    with pytest.raises(ValueError, match="changed the weight of other"):
        store_weights(file, [other], dynamic=False)


def test_a_factor_behind_a_layer_is_in_its_scales_where_litert_puts_it() -> None:
    from edgedistill.runtimes.tflite.weights import _fitted

    random = np.random.default_rng(0)
    steps = random.integers(-127, 128, (3, 20), np.int8)
    steps[1] = 0
    scales, factor = np.array([0.1, 0.2, 0.3], np.float32), np.float32(0.37)
    held = steps.astype(np.float32) * scales[:, None] * factor
    found = _fitted(steps, scales, held)
    assert found is not None
    np.testing.assert_allclose(found[[0, 2]], scales[[0, 2]] * factor, rtol=1e-6)
    held[2, 5] += 1e-3
    assert _fitted(steps, scales, held) is None
    assert _fitted(steps, scales, -held) is None


@pytest.fixture(scope="module")
def whisper() -> dict[str, tuple[Program, Program]]:
    """Float and int8 of each of a small Whisper's programs."""
    torch.manual_seed(0)
    model = Whisper(
        Shape(bands=80, width=64, encoder_layers=1, decoder_layers=1, encoder_heads=4,
              decoder_heads=4, encoder_inner=96, decoder_inner=96, vocabulary=300, positions=50,
              tokens=24)
    ).eval()  # fmt: skip
    plain = {
        name: export(Method(model, call), signature)
        for name, (call, signature) in model.programs().items()
    }
    return {name: (each, integer_weights(each, ("log_mel",), 0)) for name, each in plain.items()}


@pytest.mark.slow
@runtimes
@pytest.mark.parametrize("name", [ENCODE, DECODE_STEP])
def test_a_whisper(
    runtime: str, name: str, whisper: dict[str, tuple[Program, Program]], tmp_path: Path
) -> None:
    plain, program = whisper[name]
    random = torch.Generator().manual_seed(1)
    inputs = [
        each if each.dtype == torch.int32 else 0.3 * torch.randn(each.shape, generator=random)
        for each in blank(plain.signature.inputs)
    ]
    with torch.no_grad():
        wanted = [each.numpy() for each in graph_of(program)(*inputs)]
    given = {
        spec.name: each.numpy() for spec, each in zip(plain.signature.inputs, inputs, strict=True)
    }
    size = {}
    for activations, tolerance in (("float", 1e-4), ("dynamic", ROUNDING)):
        path = write(program, runtime, tmp_path, activations)
        found = RUNTIMES[runtime].load(path).answer(given)
        for spec, right in zip(plain.signature.outputs, wanted, strict=True):
            apart = np.abs(found[spec.name] - right).max()
            assert apart < tolerance * np.abs(right).max(), (activations, spec.name)
        size[activations] = size_of(path)
    RUNTIMES[runtime].write(plain, tmp_path / f"fp32{RUNTIMES[runtime].suffix}", Spec("fp32", ()))
    whole = size_of(tmp_path / f"fp32{RUNTIMES[runtime].suffix}")
    assert max(size.values()) < 0.75 * whole
