from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from asking import SIZE, answers, batch, context, linear, weights
from exported import LABELS, Exported

import edgedistill
from edgedistill.distill.teachers import Teacher, TeacherBatch, open_teacher
from edgedistill.distill.teachers.tflite import open_here
from edgedistill.errors import UserError
from edgedistill.recipe import TfliteTeacher
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.tflite.file import File

NHWC = (1, SIZE, SIZE, 3)


def write(
    path: Path,
    shape: tuple[int, ...] = NHWC,
    signature: tuple[int, ...] | None = None,
    integers: tuple[float, int] | None = None,
) -> Path:
    """A linear classifier; with `integers`, int8 at both ends with that scale and zero point."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.operatorCodes, model.buffers = 3, [], [schema.BufferT()]
    graph.tensors, graph.operators, model.subgraphs = [], [], [graph]
    file = File.__new__(File)
    file.model, file.graph = model, graph
    flat, scores = file.add_tensor(shape), file.add_tensor((shape[0], 3))
    held = file.add_constant(np.ascontiguousarray(weights().T), scores)
    multiply = file.new_operator("FULLY_CONNECTED", [flat, held, -1], [scores])
    multiply.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    multiply.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators, graph.inputs, graph.outputs = [multiply], [flat], [scores]
    if integers:
        outer = [file.add_tensor(shape), file.add_tensor((shape[0], 3))]
        for index in outer:
            quantization = schema.QuantizationParametersT()
            quantization.scale, quantization.zeroPoint = [integers[0]], [integers[1]]
            file.tensor(index).type = schema.TensorType.INT8
            file.tensor(index).quantization = quantization
        graph.inputs, graph.outputs = [outer[0]], [outer[1]]
        graph.operators.insert(0, file.new_operator("DEQUANTIZE", [outer[0]], [flat]))
        graph.operators.append(file.new_operator("QUANTIZE", [scores], [outer[1]]))
    for index in (*graph.inputs, flat):
        file.tensor(index).shapeSignature = list(signature or shape)
    path.write_bytes(file.pack())
    return path


def teacher(path: Path, **settings: Any) -> Teacher:
    return open_here(TfliteTeacher(family="tflite", path=path, **settings), context())


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as raised:
        teacher(path)
    return raised.value.message


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_file_answers_as_its_runtime_does(exported: Exported, precision: str) -> None:
    """The int8 file takes and gives integers."""
    path, pixels = exported.file("litert", precision), exported.pixels(5)
    opened = open_here(TfliteTeacher(family="tflite", path=path), context(classes=tuple(LABELS)))
    found = answers(opened, TeacherBatch(np.arange(5), np.arange(5), False, {"pixels": pixels}))
    expected = RUNTIMES["litert"].load(path)(pixels)
    step = 0.0 if precision == "int8" else 1e-4
    assert np.allclose(found, expected, rtol=0, atol=step)
    assert found.std() > 0


def test_a_batch_goes_through_at_once_where_its_size_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    runs = []
    invoke = Interpreter.invoke
    monkeypatch.setattr(Interpreter, "invoke", lambda self: (runs.append(1), invoke(self)))
    asked, expected = batch(5), linear(batch(5).pixels, "NHWC")
    fixed = teacher(write(tmp_path / "fixed.tflite"))
    assert np.allclose(answers(fixed, asked), expected, atol=1e-5)
    assert len(runs) == 5
    open_ = teacher(write(tmp_path / "open.tflite", signature=(-1, SIZE, SIZE, 3)))
    assert np.allclose(answers(open_, asked), expected, atol=1e-5)
    assert len(runs) == 6
    fewer = batch(2)
    assert np.allclose(answers(open_, fewer), linear(fewer.pixels, "NHWC"), atol=1e-5)
    assert len(runs) == 7


def test_channels_first_where_its_shape_says_so(tmp_path: Path) -> None:
    asked = batch()
    path = write(tmp_path / "a.tflite", (1, 3, SIZE, SIZE))
    assert np.allclose(answers(teacher(path), asked), linear(asked.pixels), atol=1e-5)


def test_integers_stand_for_normalized_pixels(tmp_path: Path) -> None:
    scale, zero_point = 0.25, -5
    path = write(tmp_path / "a.tflite", integers=(scale, zero_point))
    asked = batch()
    normalized = (asked.pixels - np.float32(0.5)) / np.float32(0.125)
    rounded = (np.rint(normalized / scale) * scale).astype(np.float32)
    expected = np.rint(linear(rounded, "NHWC") / scale) * scale
    limits = (np.array([-128, 127]) - zero_point) * scale
    found = answers(teacher(path, mean=(0.5,) * 3, std=(0.125,) * 3), asked)
    assert np.abs(found - np.clip(expected, *limits)).max() <= scale
    assert np.allclose(found / scale, np.rint(found / scale))


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tflite", (1, 16, 16, 3))
    assert refusal(path) == f"{path}: takes images of 16x16 pixels, it is shown 8x8"
    path.write_bytes(b"no model")
    assert refusal(path).startswith(f"{path}: cannot be loaded as TFLite: ")
    path.unlink()
    assert refusal(path) == f"teacher: not found: {path}"


def with_an_odd_scale(exported: Exported, path: Path) -> Path:
    """A well-formed file that ends the process which opens it."""
    file = File.read(exported.file("litert", "int8"))
    total = next(each for each in file.operators if file.kind(each) == "ADD").outputs[0]
    file.tensor(total).quantization.scale = [1e-30]
    path.write_bytes(file.pack())
    return path


def test_a_file_that_ends_its_process_is_told(exported: Exported, tmp_path: Path) -> None:
    path = with_an_odd_scale(exported, tmp_path / "odd.tflite")
    with pytest.raises(UserError, match=r"odd\.tflite: the process that ran it died"):
        open_teacher(TfliteTeacher(family="tflite", path=path), context(classes=tuple(LABELS)))
    with pytest.raises(UserError, match=r"odd\.tflite: the process that ran it died"):
        edgedistill.benchmark(path)
