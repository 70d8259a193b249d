"""A program of a model file, run by LiteRT or ONNX Runtime in the file's own numbers."""

from __future__ import annotations

import os
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .app import Description

Array = NDArray[Any]
Arrays = dict[str, Array]
Spec = dict[str, Any]
"""A tensor: name, shape, layout, dtype, scale, zero_point."""


class Program:
    """One program; a batch of one."""

    def __init__(self, app: Description, name: str, threads: int) -> None:
        entry = app.file(name)
        self.inputs: list[Spec] = entry["inputs"]
        self.outputs: list[Spec] = entry["outputs"]
        self.state: dict[str, str] = entry["state"]
        opened = _LiteRT if app.document["runtime"] == "litert" else _OnnxRuntime
        self._session: _Session = opened(
            (app.folder / entry["file"]).read_bytes(), name, threads, self.inputs, self.outputs
        )

    @property
    def fresh(self) -> list[Spec]:
        """Inputs that are no state."""
        return [each for each in self.inputs if each["name"] not in self.state.values()]

    @property
    def answer(self) -> Spec:
        """The output that answers: `logits`, else the first."""
        named = [each for each in self.outputs if each["name"] == "logits"]
        return (named or self.outputs)[0]

    def beginning(self) -> Arrays:
        """The states of zero, by the inputs that take them."""
        return {
            each["name"]: np.full(
                [size or 1 for size in each["shape"]], each["zero_point"] or 0, each["dtype"]
            )
            for each in self.inputs
            if each["name"] in self.state.values()
        }

    def run(self, inputs: Arrays) -> Arrays:
        """The file's own inputs to its own outputs, (1, ...) each, by name."""
        return self._session.run(inputs)

    def step(self, fresh: Arrays, states: Arrays) -> tuple[Arrays, Arrays]:
        """The outputs, and the states that the next step is given."""
        outputs = self.run({**fresh, **states})
        return outputs, {taken: outputs[given] for given, taken in self.state.items()}


class _Session(Protocol):
    def run(self, inputs: Arrays) -> Arrays: ...


class _LiteRT:
    def __init__(
        self, content: bytes, name: str, threads: int, inputs: list[Spec], outputs: list[Spec]
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._content = content  # the interpreter reads it where it is
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        several = name != "main" and name in self._interpreter.get_signature_list()
        self._runner = self._interpreter.get_signature_runner(name) if several else None
        self._inputs = _places(inputs, self._interpreter.get_input_details())
        self._outputs = _places(outputs, self._interpreter.get_output_details())

    def run(self, inputs: Arrays) -> Arrays:
        if self._runner is not None:
            return {name: each.copy() for name, each in self._runner(**inputs).items()}
        for name, place in self._inputs.items():
            self._interpreter.set_tensor(place, inputs[name])
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(place) for name, place in self._outputs.items()}


def _places(specs: list[Spec], details: list[Any]) -> dict[str, int]:
    return {spec["name"]: row["index"] for spec, row in zip(specs, details, strict=False)}


class _OnnxRuntime:
    def __init__(
        self, content: bytes, name: str, threads: int, inputs: list[Spec], outputs: list[Spec]
    ) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self._names = [each["name"] for each in outputs]

    def run(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._names, self._session.run(self._names, inputs), strict=True))


def to_native(real: Array, spec: Spec) -> Array:
    """Real values (1, ...), pictures (1, height, width, channels), as a file takes them: its axes
    and its type, and where it has a scale rounded, halves to even, and cut to the type."""
    if spec["layout"] == "NCHW" and real.ndim == 4:
        real = np.ascontiguousarray(real.transpose(0, 3, 1, 2))
    if spec["scale"] is None:
        return real.astype(spec["dtype"])
    limits = np.iinfo(spec["dtype"])
    steps = np.rint(real * np.float32(1 / spec["scale"])) + (spec["zero_point"] or 0)
    stored: Array = np.clip(steps, limits.min, limits.max).astype(spec["dtype"])
    return stored


def to_real(native: Array, spec: Spec) -> Array:
    """What a file's values stand for, float32."""
    if spec["scale"] is None:
        return native.astype(np.float32)
    steps = native.astype(np.float32) - np.float32(spec["zero_point"] or 0)
    real: Array = steps * np.float32(spec["scale"])
    return real
