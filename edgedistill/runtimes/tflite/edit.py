"""Edits and counts of a converted .tflite file: its boundary, its names, its half floats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from edgedistill.runtimes import Array
    from edgedistill.runtimes.program import Layer
    from edgedistill.runtimes.tflite.file import File
    from edgedistill.signature import Signature

_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}


def remove_fences(file: File) -> None:
    """Take out what `program.fence_floats` put in: casts from float32 to float16 and back."""
    for narrow in [each for each in file.operators if file.kind(each) == "CAST"]:
        (source,), (half,) = narrow.inputs, narrow.outputs
        if file.dtype(half) != "float16":
            continue
        for back in file.consumers(half):
            file.replace_uses(back.outputs[0], source)
            file.operators.remove(back)
        file.operators.remove(narrow)


def name_tensors(file: File, layers: list[Layer], signature: Signature) -> None:
    """Name what the file computes after the program's layers, and its boundary for the app.

    A tensor belongs to the layer of its shape, scale and zero point; where several have the same,
    they follow each other in the file as in the program.
    """
    for tensor in file.graph.tensors:
        tensor.name = b""
    waiting: dict[tuple[object, ...], list[str]] = {}
    for layer in layers:
        key = (_channels_last(layer.shape), np.float32(layer.scale), layer.zero_point)
        waiting.setdefault(key, []).append(layer.label)
    for place, operator in enumerate(file.operators):
        for index in operator.outputs:
            tensor = file.tensor(index)
            names = waiting.get((tuple(map(int, tensor.shape)), *_scale(file, index)), [])
            name = names.pop(0) if names else f"t{place}"
            tensor.name = name.encode()
    ends = (*file.graph.inputs, *file.graph.outputs), (*signature.inputs, *signature.outputs)
    for index, spec in zip(*ends, strict=True):
        file.tensor(index).name = spec.name.encode()


_STRAYS = 3
"""Steps that a tensor may be off, in the mean, from what is called the same."""


def forget_reordered(
    file: File, given: list[Array], recorded: dict[str, Array], labels: dict[str, str]
) -> None:
    """Take the names off tensors that hold a layer's values in another order, as behind a flatten
    or a channel shuffle that is computed channels last. Where another of the same shape and scale
    holds the layer's values, as behind a pool that is made of several operators, it gets the name.

    `given`: the file's inputs, in order; `recorded`: int8 arrays by layer name for them, as
    `program.record` gives them; `labels`: the layers' names by label.
    """
    from edgedistill.runtimes.litert import interpreter, to_channels_first

    runner = interpreter(file.pack(), 1, True, keep_all=True)
    for details, native in zip(runner.get_input_details(), given, strict=True):
        runner.set_tensor(details["index"], native)
    runner.invoke()
    computed = [index for operator in file.operators for index in operator.outputs]
    values = {index: to_channels_first(runner.get_tensor(index)) for index in computed}
    for index in list(computed):
        label = bytes(file.tensor(index).name).decode()
        if label not in labels:
            continue
        wanted = recorded[labels[label]]
        free = [
            other
            for other in computed
            if bytes(file.tensor(other).name).decode() not in labels
            and other not in file.graph.outputs
            and _scale(file, other) == _scale(file, index)
        ]
        alike = [each for each in (index, *free) if values[each].shape == wanted.shape]
        nearest = min(alike, key=lambda each: _apart(values[each], wanted), default=index)
        file.tensor(index).name = f"t{index}_reordered".encode()
        if nearest in alike and not _is_reordered(values[nearest], wanted):
            file.tensor(nearest).name = label.encode()


def _apart(one: Array, two: Array) -> float:
    """Steps, in the mean."""
    return float(np.abs(one.astype(float) - two).mean())


def _is_reordered(found: Array, wanted: Array) -> bool:
    one, two = (each.astype(float).reshape(-1) for each in (found, wanted))
    apart = np.abs(one - two).mean()
    return bool(apart > _STRAYS + 2 * np.abs(np.sort(one) - np.sort(two)).mean())


def name_the_rest(file: File) -> None:
    """Give what has no name one of its own: LiteRT's quantizer, for one, refuses a file in which
    two tensors are called the same. What is stored is called after its content, so that programs
    which share it describe it alike, and their file holds that once."""
    for index, tensor in enumerate(file.graph.tensors):
        if not tensor.name:
            stored = file.constant(index) is not None
            tensor.name = (f"c{file.digest(index)[:8]}" if stored else f"t{index}").encode()


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1, *shape[1:], shape[0]) if len(shape) == 3 else (1, *shape)


def _scale(file: File, index: int) -> tuple[object, object]:
    quantization = file.tensor(index).quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
        return None, None
    return np.float32(quantization.scale[0]), int(quantization.zeroPoint[0])


def halve_weights(file: File) -> None:
    """Store weights in float16, each behind a DEQUANTIZE, which the runtime runs once."""
    weighted = [each for each in file.operators if file.kind(each) in _WEIGHTED]
    for index in dict.fromkeys(int(each.inputs[1]) for each in weighted):
        value = file.constant(index)
        if value is not None and value.dtype == np.float32:
            _halve(file, index, value)


_WORTH = 400
"""Values. Storing fewer in float16 saves less than a DEQUANTIZE takes, in each of two programs."""


def halve_exact(file: File) -> None:
    """Store in float16 what that holds exactly, each behind a DEQUANTIZE, which the runtime runs
    once."""
    read = dict.fromkeys(int(index) for each in file.operators for index in each.inputs)
    for index in [each for each in read if each >= 0 and file.dtype(each) == "float32"]:
        value = file.constant(index)
        if value is not None and value.size >= _WORTH:
            with np.errstate(over="ignore"):
                exact = np.array_equal(value.astype(np.float16).astype(np.float32), value)
            if exact:
                _halve(file, index, value)


def _halve(file: File, index: int, value: Array) -> None:
    half = file.add_constant(value.astype(np.float16), index)
    file.tensor(half).type = schema.TensorType.FLOAT16
    unpacked = file.add_tensor(value.shape, index)
    file.replace_uses(index, unpacked)
    file.operators.insert(0, file.new_operator("DEQUANTIZE", [half], [unpacked]))


def float_boundary(file: File) -> None:
    """QUANTIZE behind each float32 input, DEQUANTIZE before each float32 output; an end at which a
    layer was left in float is float32 already, and integers that are no steps of a scale stay."""
    inputs = {index: _float_twin(file, index) for index in file.graph.inputs}
    outputs = {index: _float_twin(file, index) for index in file.graph.outputs}
    for index, twin in inputs.items():
        if twin != index:
            file.operators.insert(0, file.new_operator("QUANTIZE", [twin], [index]))
    for index, twin in outputs.items():
        if twin != index:
            file.operators.append(file.new_operator("DEQUANTIZE", [index], [twin]))
    file.graph.inputs = [inputs[index] for index in file.graph.inputs]
    file.graph.outputs = [outputs[index] for index in file.graph.outputs]
    for signature in file.model.signatureDefs or []:
        for entries, twins in ((signature.inputs, inputs), (signature.outputs, outputs)):
            for entry in entries:
                entry.tensorIndex = twins[entry.tensorIndex]


def _float_twin(file: File, index: int) -> int:
    """A new float32 tensor of the same shape that takes over the name."""
    if _scale(file, index) == (None, None):
        return index
    twin = file.add_tensor(tuple(file.tensor(index).shape))
    name = file.tensor(index).name
    file.tensor(twin).name, file.tensor(index).name = name, name + b"_int8"
    return twin


def executed(file: File) -> list[tuple[str, str, bool]]:
    """(kind, name, whether it reads or gives floats) of each operator, those inside loops and
    composites included. LiteRT runs a file's operators as they are typed, on any processor."""
    return [
        (
            file.kind(operator),
            _name(part, operator.outputs[0]) if len(operator.outputs) else "",
            any(
                part.dtype(index).startswith("float")
                for index in (*operator.inputs, *operator.outputs)
                if index >= 0
            ),
        )
        for part in file.parts()
        for operator in part.operators
    ]


def _name(file: File, index: int) -> str:
    return bytes(file.tensor(index).name or b"").decode() or str(index)


def inner_pairs(file: File) -> int:
    """QUANTIZEs and DEQUANTIZEs, from or to floats, that are not at the file's boundary."""
    boundary = {*file.graph.inputs, *file.graph.outputs}
    return sum(
        file.kind(operator) in ("QUANTIZE", "DEQUANTIZE")
        and not boundary & {*operator.inputs, *operator.outputs}
        and "float32" in map(file.dtype, (*operator.inputs, *operator.outputs))
        and file.constant(operator.inputs[0]) is None
        for operator in file.operators
    )
