"""A TFLite file as teacher, run by LiteRT."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from edgedistill.distill.teachers import Teacher, TeacherContext
from edgedistill.distill.teachers.apart import TeacherApart
from edgedistill.distill.teachers.model_file import (
    FileTeacher,
    cannot,
    existing,
    layout_of,
    only,
)
from edgedistill.recipe import TfliteTeacher
from edgedistill.runtimes.native import hushed
from edgedistill.signature import TensorSpec


def open_(config: TfliteTeacher, context: TeacherContext) -> Teacher:
    """In a process of its own, as an odd file may end it. Raises UserError as `open_here` does."""
    return TeacherApart(open_here, config, context)


def open_here(config: TfliteTeacher, context: TeacherContext) -> FileTeacher:
    """Its first output of shape (batch, classes) is the answer. A batch goes through at once where
    the file leaves its size open."""
    interpreter = _interpreter(config)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    pixels = only(inputs, config.path, [each["name"] for each in inputs])
    logits = next((each for each in outputs if len(each["shape"]) == 2), outputs[0])

    def run(images: Any) -> Any:
        if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
            interpreter.resize_tensor_input(pixels["index"], list(images.shape))
            with hushed():
                interpreter.allocate_tensors()
        interpreter.set_tensor(pixels["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(logits["index"])

    return FileTeacher(config, context, _described(pixels), run, _described(logits))


def _described(details: Any) -> TensorSpec:
    shape = tuple(None if size < 0 else int(size) for size in details["shape_signature"])
    quantized = len(details["quantization_parameters"]["scales"]) > 0
    scale, zero_point = details["quantization"] if quantized else (None, None)
    dtype = np.dtype(details["dtype"]).name
    return TensorSpec(details["name"], shape, layout_of(shape, "NHWC"), dtype, scale, zero_point)


def _interpreter(config: TfliteTeacher) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    path = existing(config.path)
    try:
        with hushed():
            interpreter = Interpreter(model_path=str(path), num_threads=os.cpu_count())
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise cannot(
            path, "be loaded as TFLite", error, "the file is damaged or of another kind"
        ) from error
    return interpreter
