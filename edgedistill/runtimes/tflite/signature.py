"""The signature of a .tflite file: by the interpreter's words, and by the file's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistill.runtimes.native import (
    METADATA,
    read_description,
)
from edgedistill.runtimes.tflite.merge import metadata_name
from edgedistill.signature import Layout, Signature, TensorSpec


def live_signature(inputs: list[Any], outputs: list[Any], words: Signature | None) -> Signature:
    """The signature by what the interpreter says; names, layouts and states by the file's own
    words, where it has them."""
    if words is not None:
        return replace(
            words,
            inputs=tuple(map(_typed, words.inputs, inputs)),
            outputs=tuple(map(_typed, words.outputs, outputs)),
        )
    return Signature(tuple(map(_plain, inputs)), tuple(map(_plain, outputs)))


class _Tensor(TypedDict):
    """What the interpreter says of an input or output."""

    name: str
    shape: Sequence[int]
    dtype: type[np.generic]
    quantization: tuple[float, int]
    quantization_parameters: dict[str, Sequence[float]]


def _typed(spec: TensorSpec, details: _Tensor) -> TensorSpec:
    scale, zero_point = _quantization(details)
    shape, dtype = tuple(map(int, details["shape"])), np.dtype(details["dtype"]).name
    return replace(spec, shape=shape, dtype=dtype, scale=scale, zero_point=zero_point)


def _quantization(details: _Tensor) -> tuple[float | None, int | None]:
    if not len(details["quantization_parameters"]["scales"]):
        return None, None
    scale, zero_point = details["quantization"]
    return float(scale), int(zero_point)


def _plain(details: _Tensor) -> TensorSpec:
    """For a file that says nothing about itself."""
    shape = tuple(map(int, details["shape"]))
    layouts: dict[int, Layout] = {4: "NHWC", 2: "NC"}
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        layouts[4] = "NCHW"
    name = details["name"].removeprefix("serving_default_").removesuffix(":0")
    limits = (0.0, 1.0) if len(shape) == 4 else None
    return _typed(TensorSpec(name, shape, layouts.get(len(shape), ""), range=limits), details)


def own_words(content: bytes, program: str) -> Signature | None:
    """What `write` attached to the file of a program."""
    model = schema.Model.GetRootAs(content, 0)
    for place in range(model.MetadataLength()):
        entry = model.Metadata(place)
        if entry.Name() == metadata_name(METADATA, program).encode():
            return read_description(bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).decode())
    return None
