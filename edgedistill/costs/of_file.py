"""What a .tflite file computes, as products and steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edgedistill.costs.probe_file import Numbers
from edgedistill.models.steps import Kind, Step, Work
from edgedistill.models.work import Product
from edgedistill.runtimes.tflite.file import File


def works_of_file(path: Path) -> tuple[Numbers, list[tuple[str, Work]]]:
    """The numbers that most of a file's products multiply, and each operator that costs something
    with its name, in order. One that is not known stands for an addition of as many elements."""
    file = File.read(path)
    found = [
        (_name(file, each), work)
        for each in file.operators
        for work in _works(file, each, file.kind(each))
    ]
    whole = [file.dtype(each.inputs[1]) == "int8" for each in file.operators
             if file.kind(each) in _PRODUCTS]  # fmt: skip
    return ("int8" if 2 * sum(whole) > len(whole) else "fp32"), found


def _name(file: File, operator: Any) -> str:
    return bytes(file.tensor(operator.outputs[0]).name or b"").decode(errors="replace")


def _shape(file: File, index: int) -> tuple[int, ...]:
    shape = file.tensor(index).shape
    return () if shape is None else tuple(map(int, shape))


def _works(file: File, operator: Any, kind: str) -> list[Work]:
    if kind in _FREE or all(file.constant(each) is not None for each in operator.inputs):
        return []
    answer = _shape(file, operator.outputs[0])
    if kind in _PRODUCTS:
        return [_product(file, operator, kind, answer)]
    known = _KINDS.get(kind)
    if known == "pad" and _shape(file, operator.inputs[0])[-1:] == answer[-1:]:
        return []  # XNNPACK makes a part of the next operator of it
    if known == "strided_slice":
        strides = file.constant(operator.inputs[3])
        known = "slice" if strides is not None and (strides == 1).all() else known
    read = _shape(file, operator.inputs[0]) if known == "mean" else answer
    channels = read[-1] if read else 1
    options = operator.builtinOptions
    size = getattr(options, "filterHeight", 1) * getattr(options, "filterWidth", 1)
    step = Step(known or "add", channels, math.prod(read) // max(1, channels), size,
                "" if known else kind)  # fmt: skip
    clamps = known in ("add", "mul") and bool(getattr(options, "fusedActivationFunction", 0))
    return [step, Step("relu", step.channels, step.positions)] if clamps else [step]


def _product(file: File, operator: Any, kind: str, answer: tuple[int, ...]) -> Product:
    pixels, weights = (_shape(file, each) for each in operator.inputs[:2])
    if kind == "FULLY_CONNECTED":
        return Product(1, weights[0], weights[1], 1, math.prod(answer) // weights[0])
    if kind == "BATCH_MATMUL":
        return Product(math.prod(answer[:-2]), answer[-1], pixels[-1], 1, answer[-2])
    if kind == "TRANSPOSE_CONV":
        weights_of, given = weights, _shape(file, operator.inputs[2])
        size = weights_of[1] * weights_of[2]
        return Product(1, weights_of[0], weights_of[3], size, math.prod(given[:3]))
    positions = math.prod(answer[:3])
    if kind == "DEPTHWISE_CONV_2D":
        return Product(pixels[3], weights[3] // pixels[3], 1, weights[1] * weights[2], positions)
    groups = pixels[3] // weights[3]
    return Product(groups, weights[0] // groups, weights[3], weights[1] * weights[2], positions)


_PRODUCTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV"}
_KINDS: dict[str, Kind] = {
    "ADD": "add", "SUB": "add", "MUL": "mul", "RELU": "relu", "RELU6": "relu",
    "LOGISTIC": "logistic", "TANH": "tanh", "SOFTMAX": "softmax", "MEAN": "mean",
    "MAX_POOL_2D": "max_pool", "AVERAGE_POOL_2D": "average_pool", "QUANTIZE": "quantize",
    "DEQUANTIZE": "dequantize", "PAD": "pad", "PADV2": "pad", "SLICE": "slice",
    "STRIDED_SLICE": "strided_slice", "CONCATENATION": "concatenation",
}  # fmt: skip
_FREE = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SHAPE"}
