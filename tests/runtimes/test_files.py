"""What every runtime's files share: same answers, integers throughout, words about themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import EXACT, LABELS, MAY_SATURATE, SIZE, Exported, answers, compare_layers
from torch import nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.errors import UserError
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Loaded, Spec, find, runtime_of
from edgedistill.signature import TensorSpec, image_inputs
from edgedistill.target import Scheme

runtimes = pytest.mark.parametrize("runtime", STANDARD)
SUFFIXES = [("litert", ".tflite"), ("onnxruntime", ".onnx"), ("openvino", ".xml")]


@runtimes
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_float_files_answer_as_the_program(
    exported: Exported, runtime: str, precision: str, tolerance: float
) -> None:
    pixels = exported.pixels()
    loaded = RUNTIMES[runtime].load(exported.file(runtime, precision))
    reference = answers(exported.program("float"), pixels)
    assert loaded(pixels).dtype == np.float32
    assert np.abs(loaded(pixels) - reference).max() < tolerance * np.ptp(reference)


inexact = pytest.mark.parametrize("runtime", MAY_SATURATE)


def skip_where_kernels_saturate(runtime: str) -> None:
    if runtime in MAY_SATURATE and not EXACT:
        pytest.skip("int8 kernels saturate on this processor: 7-bit weights stand in for 8")


def output_of(loaded: Loaded) -> TensorSpec:
    (output,) = loaded.signature.outputs
    return output


def steps_apart(exported: Exported, runtime: str, optimize: bool) -> float:
    """The furthest that an output of the int8 file is from the program's."""
    pixels = exported.pixels()
    loaded = RUNTIMES[runtime].load(exported.file(runtime, "int8"), optimize=optimize)
    apart = np.abs(loaded(pixels) - answers(exported.program("int8"), pixels))
    return float(np.rint(apart / output_of(loaded).scale).max())


@runtimes
def test_int8_files_say_what_the_program_computes(exported: Exported, runtime: str) -> None:
    assert steps_apart(exported, runtime, optimize=False) <= 1


@runtimes
def test_fast_kernels_answer_within_a_step(exported: Exported, runtime: str) -> None:
    skip_where_kernels_saturate(runtime)
    assert steps_apart(exported, runtime, optimize=True) <= 1


@inexact
def test_weights_of_7_bits_saturate_nowhere(exported_in_7_bits: Exported, runtime: str) -> None:
    assert steps_apart(exported_in_7_bits, runtime, optimize=True) <= 1


@runtimes
def test_int8_files_are_integer_throughout(exported: Exported, runtime: str) -> None:
    found = RUNTIMES[runtime].inspect(exported.file(runtime, "int8"))
    assert in_float_anyhow(runtime, found) == {}
    assert found["inner_pairs"] == 0
    assert found["transposes"] == 0


def in_float_anyhow(runtime: str, found: dict[str, Any]) -> dict[str, int]:
    """What no processor's kernels compute in integers. OpenVINO has no depthwise one for pixels on
    every processor, ONNX Runtime none that pads."""
    counts = found["arm64"]["float_counts"] if runtime == "onnxruntime" else found["float_counts"]
    but = {"onnxruntime": "Pad", "openvino": "Convolution", "litert": ""}[runtime]
    return {kind: count for kind, count in counts.items() if kind != but or count > 1}


def test_float_is_what_the_runtime_runs_in_float(tmp_path: Path) -> None:
    """A normalization between integers: the graph calls it one layer, or none, in float; LiteRT
    runs it as a row of float operators, and the other two as one."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), nn.LayerNorm(4), nn.Flatten(), nn.Linear(32, 4)
    )
    prepared = prepare(fold(model.eval(), image_inputs(3, SIZE, SIZE)), Scheme())
    calibrate(prepared, [(torch.rand(4, 3, SIZE, SIZE),)])
    quantized = convert(prepared)
    counts = {}
    for runtime, suffix in SUFFIXES:
        path = tmp_path / f"norm{suffix}"
        RUNTIMES[runtime].write(quantized, path, Spec("int8", tuple(LABELS), "integer", "norm"))
        counts[runtime] = RUNTIMES[runtime].inspect(path)
    assert {"MEAN", "RSQRT"} <= {*counts["litert"]["float_counts"]}
    assert "LayerNormalization" in counts["onnxruntime"]["float_counts"]
    assert "LayerNormalization" in counts["onnxruntime"]["arm64"]["float_counts"]
    assert "MVN" in counts["openvino"]["float_counts"]
    for found in counts.values():
        assert sum(found["float_counts"].values()) == len(found["float_operators"])
        assert len(found["float_operators"]) < found["executed"]


@runtimes
def test_float_files_are_said_to_be_float(exported: Exported, runtime: str) -> None:
    assert len(RUNTIMES[runtime].inspect(exported.file(runtime, "fp32"))["float_operators"]) > 5


@runtimes
def test_integer_files_take_and_give_integers(exported: Exported, runtime: str) -> None:
    loaded = RUNTIMES[runtime].load(exported.file(runtime, "int8"))
    pixels = exported.pixels(2)
    native = loaded.encode({"pixels": pixels})["pixels"]
    (taken,) = loaded.signature.inputs
    assert native.dtype == np.int8
    bytes_ = np.rint(pixels * 255).astype(int) - 128
    moved = native.transpose(0, 3, 1, 2) if taken.layout == "NHWC" else native
    assert (moved == bytes_).all()
    result = loaded.run({"pixels": native[:1]})["logits"]
    assert result.dtype == np.int8
    assert result.shape == (1, len(LABELS))


@runtimes
def test_boundary_is_named_and_described(exported: Exported, runtime: str) -> None:
    entry = exported.file_entry(runtime, "int8")
    signature = RUNTIMES[runtime].load(exported.file(runtime, "int8")).signature
    assert [each.name for each in signature.inputs] == ["pixels"]
    assert [each.name for each in signature.outputs] == ["logits"]
    assert signature.inputs == entry.signature.inputs
    assert entry.input.range == (0, 1)
    assert entry.input.scale == pytest.approx(1 / 255)
    assert entry.input.zero_point == -128
    assert entry.output.scale == pytest.approx(signature.outputs[0].scale)


@runtimes
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_float_boundary_gives_the_same_answers(
    exported: Exported, runtime: str, precision: str, tmp_path: Path
) -> None:
    if precision == "fp32":
        path = exported.file(runtime, "fp32")
    else:
        path = tmp_path / f"float{RUNTIMES[runtime].suffix}"
        spec = Spec("int8", tuple(LABELS), "float")
        RUNTIMES[runtime].write(exported.program("int8"), path, spec)
        found = RUNTIMES[runtime].inspect(path)
        assert in_float_anyhow(runtime, found) == {}
        assert found["inner_pairs"] == 0
    loaded = RUNTIMES[runtime].load(path)
    assert loaded.signature.inputs[0].dtype == output_of(loaded).dtype == "float32"
    assert loaded.encode({"pixels": exported.pixels(1)})["pixels"].dtype == np.float32
    if precision == "int8":
        pixels = exported.pixels(16)
        whole = RUNTIMES[runtime].load(exported.file(runtime, "int8"))
        assert np.abs(loaded(pixels) - whole(pixels)).max() < 1e-4


@runtimes
def test_operators_say_what_ran_and_where(exported: Exported, runtime: str) -> None:
    rows = RUNTIMES[runtime].load(exported.file(runtime, "int8")).operators()
    assert len(rows) > 4
    assert any("conv" in row.type.lower() for row in rows)
    times = [row.microseconds for row in rows]
    if runtime == "litert":
        assert set(times) == {None}
        elsewhere = {row.type for row in rows if row.where != "XNNPACK"}
        assert elsewhere == {"STRIDED_SLICE"}
    else:
        assert all(time is not None and time >= 0 for time in times)
        assert all(row.where for row in rows)


@inexact
def test_layers_of_7_bits_are_right_by_any_kernels(
    exported_in_7_bits: Exported, runtime: str
) -> None:
    quantized, pixels = exported_in_7_bits.program("int8"), exported_in_7_bits.pixels(4)
    rows = compare_layers(exported_in_7_bits.file(runtime, "int8"), quantized, pixels)
    assert max(row["max_steps"] for row in rows) <= 1


@runtimes
def test_same_program_gives_the_same_bytes(
    exported: Exported, runtime: str, tmp_path: Path
) -> None:
    first = exported.file(runtime, "int8")
    again = tmp_path / first.name
    spec = Spec("int8", tuple(LABELS), "integer", "tiny")
    RUNTIMES[runtime].write(exported.program("int8"), again, spec)
    assert again.read_bytes() == first.read_bytes()


@pytest.mark.parametrize(("runtime", "suffix"), SUFFIXES)
def test_runtime_is_known_by_the_suffix(runtime: str, suffix: str) -> None:
    assert runtime_of(Path(f"a{suffix}")).name == runtime


def test_unknown_suffix_is_said() -> None:
    with pytest.raises(UserError) as raised:
        runtime_of(Path("model.pkl"))
    assert str(raised.value) == (
        "model.pkl: no runtime reads `.pkl` files\nhint: give one of .tflite, .onnx, .xml, .pte, "
        ".mlpackage.zip"
    )


def test_unknown_runtime_names_the_nearest() -> None:
    with pytest.raises(UserError) as raised:
        find("onnxruntme")
    assert str(raised.value) == "unknown runtime `onnxruntme`\nhint: did you mean `onnxruntime`?"


@runtimes
def test_missing_package_says_what_to_install(runtime: str, monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, RUNTIMES[runtime].import_name, None)
    with pytest.raises(UserError) as raised:
        RUNTIMES[runtime].load(Path("model"))
    assert raised.value.hint == f"pip install {RUNTIMES[runtime].package}"


@runtimes
def test_a_damaged_file_is_the_users_to_mend(runtime: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken{RUNTIMES[runtime].suffix}"
    with pytest.raises(UserError) as raised:
        RUNTIMES[runtime].load(path)
    assert raised.value.message == f"model file not found: {path}"
    path.write_bytes(b"not a model" * 100)
    with pytest.raises(UserError) as raised:
        RUNTIMES[runtime].load(path)
    assert raised.value.message.startswith(f"{path}: {runtime} cannot load it: ")


def test_sizes_follow_the_precision(exported: Exported) -> None:
    sizes = {key: exported.entry("litert", key)["bytes"] for key in ("fp32", "fp16", "int8")}
    assert sizes["int8"] < sizes["fp16"] < sizes["fp32"]
    assert exported.file_entry("litert", "int8").input.shape == (1, SIZE, SIZE, 3)


def test_an_operator_that_a_converter_does_not_know_is_told(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten()).eval()
    spec = Spec("fp32", tuple("abcd"), "float", "odd")
    with pytest.raises(UserError, match=r"cannot be written as odd\.tflite") as got:
        RUNTIMES["litert"].write(fold(model, image_inputs(3, 8, 8)), tmp_path / "odd.tflite", spec)
    assert "aten.adaptive_max_pool2d" in got.value.message
    assert "leave `litert` out of the target's runtimes" in got.value.hint
    assert not (tmp_path / "odd.tflite").exists()


def test_a_converter_that_says_nothing_is_told_by_where_it_was(
    exported: Exported, tmp_path: Path, monkeypatch: Any
) -> None:
    from edgedistill.runtimes import onnxruntime

    def lower_odd_operator(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(onnxruntime, "write", lower_odd_operator)
    with pytest.raises(UserError, match="lower_odd_operator, raise AssertionError: Assertion"):
        RUNTIMES["onnxruntime"].write(
            exported.program("float"), tmp_path / "a.onnx", Spec("fp32", tuple(LABELS))
        )


def test_attention_in_half_precision_is_opened(tmp_path: Path) -> None:
    """In a process of its own, as ONNX Runtime has died of it."""
    encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.encoder = nn.Conv2d(1, 16, 4, 4), encoder

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            tokens: torch.Tensor = self.patches(pixels).flatten(2).transpose(1, 2)
            return self.encoder(tokens).mean(1)  # type: ignore[no-any-return]

    model, path = Reader().eval(), tmp_path / "a.onnx"
    labels = tuple(map(str, range(16)))
    RUNTIMES["onnxruntime"].write(fold(model, image_inputs(1, 16, 16)), path, Spec("fp16", labels))
    code = "import onnxruntime, sys; onnxruntime.InferenceSession(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    pixels = torch.rand(2, 1, 16, 16)
    found = RUNTIMES["onnxruntime"].load(path)(pixels.numpy())
    assert np.abs(found - model(pixels).detach().numpy()).max() < 0.02
