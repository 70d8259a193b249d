"""An ONNX file as teacher, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

from edgedistill.distill.teachers import Teacher, TeacherContext
from edgedistill.distill.teachers.apart import TeacherApart
from edgedistill.distill.teachers.model_file import (
    FileTeacher,
    cannot,
    existing,
    layout_of,
    only,
)
from edgedistill.recipe import OnnxTeacher
from edgedistill.signature import TensorSpec

DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


def open_(config: OnnxTeacher, context: TeacherContext) -> Teacher:
    """In a process of its own, as an odd file may end it. Raises UserError as `open_here` does."""
    return TeacherApart(open_here, config, context)


def open_here(config: OnnxTeacher, context: TeacherContext) -> FileTeacher:
    """Its first output of shape (batch, classes) is the answer."""
    session = _session(config)
    inputs = session.get_inputs()
    pixels = only(inputs, config.path, [each.name for each in inputs])
    outputs = session.get_outputs()
    answer = next((each for each in outputs if len(each.shape) == 2), outputs[0]).name

    def run(images: Any) -> Any:
        return session.run([answer], {pixels.name: images})[0]

    return FileTeacher(config, context, _described(pixels), run)


def _described(pixels: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else None for size in pixels.shape)
    dtype = DTYPES.get(pixels.type, pixels.type)
    return TensorSpec(pixels.name, shape, layout_of(shape, "NCHW"), dtype)


def _session(config: OnnxTeacher) -> Any:
    import onnxruntime

    path = existing(config.path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's exceptions share no other base
        raise cannot(
            path, "be loaded as ONNX", error, "the file is damaged or of another kind"
        ) from error
