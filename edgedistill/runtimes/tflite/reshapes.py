"""RESHAPEs of a .tflite file that need not be: behind one another, or to the shape that was."""

from __future__ import annotations

from typing import Any

from edgedistill.runtimes.tflite.file import File


def drop_needless_reshapes(file: File) -> None:
    """Of a row of RESHAPEs the last one alone, and none from a shape to itself."""
    for reshape in [each for each in file.operators if file.kind(each) == "RESHAPE"]:
        before = file.producer(reshape.inputs[0])
        if before is not None and file.kind(before) == "RESHAPE":
            reshape.inputs = [before.inputs[0], *reshape.inputs[1:]]
            if not _is_read(file, before.outputs[0]):
                file.operators.remove(before)
        if _shape(file, reshape.inputs[0]) == _shape(file, reshape.outputs[0]):
            _drop(file, reshape)


def _drop(file: File, reshape: Any) -> None:
    source, output = reshape.inputs[0], reshape.outputs[0]
    if output not in file.graph.outputs:
        file.operators.remove(reshape)
        file.replace_uses(output, source)
        return
    maker = file.producer(source)
    if maker is None or source in file.graph.outputs:
        return  # an input that is given back, or a tensor that is two outputs
    file.operators.remove(reshape)
    file.replace_uses(source, output)
    maker.outputs = [output if index == source else index for index in maker.outputs]


def _is_read(file: File, index: int) -> bool:
    return index in file.graph.outputs or bool(file.consumers(index))


def _shape(file: File, index: int) -> list[int]:
    shape = file.tensor(index).shape
    return [] if shape is None else [int(size) for size in shape]
