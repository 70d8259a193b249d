"""Operators side by side in one .tflite file, each as the compiler's own files have it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistill.costs.probe import MOVING, Probe
from edgedistill.runtimes import Spec
from edgedistill.runtimes.native import METADATA, describe
from edgedistill.runtimes.tflite.file import File
from edgedistill.signature import Signature, TensorSpec

Numbers = Literal["int8", "fp32"]
SMALL = Probe("add", 16)
"""Takes next to nothing."""
_STEP = 0.05
"""Of activations, in int8."""
_ANSWERS = {"softmax": (1 / 256, -128), "logistic": (1 / 256, -128), "tanh": (1 / 128, 0)}
"""Scale and zero point that the format asks of an int8 answer."""


def write(probes: Sequence[Probe], numbers: Numbers) -> tuple[bytes, Signature]:
    """A file that computes each probe from inputs of its own size. The operators' outputs are
    called after the probe's place: `p0`, `p1`."""
    made = _Writer(numbers)
    return made.content([made.add(probe, f"p{place}") for place, probe in enumerate(probes)])


def write_copies(probe: Probe, numbers: Numbers, copies: int) -> tuple[bytes, Signature]:
    """A file that computes a probe several times, and gives the first number of each answer. A
    whole one is copied when it is read, which takes as long as a quick operator; and an answer that
    nobody waits for lies where the last one did, as in a model."""
    made = _Writer(numbers)
    return made.content([made.first(made.add(probe, f"p{copy}")) for copy in range(copies)])


def write_chain(length: int, numbers: Numbers) -> tuple[bytes, Signature]:
    """A file of so many small additions, each of the last one's answer."""
    made = _Writer(numbers)
    last = None
    for place in range(length):
        last = made.add(SMALL, f"p{place}", last)
    return made.content([] if last is None else [last])


@dataclass(frozen=True)
class _Form:
    """How the schema calls an operator, and its options."""

    name: str
    version: int
    options: tuple[str, ...] = ()
    """Name of the options' class, without `Options`; empty: none."""


FORMS = {
    "convolution": _Form("CONV_2D", 3, ("Conv2D",)),
    "depthwise": _Form("DEPTHWISE_CONV_2D", 3, ("DepthwiseConv2D",)),
    "linear": _Form("FULLY_CONNECTED", 5, ("FullyConnected",)),
    "add": _Form("ADD", 2, ("Add",)),
    "mul": _Form("MUL", 2, ("Mul",)),
    # As exporters write it after an addition: XNNPACK makes an operator of its own of it.
    "relu": _Form("ADD", 2, ("Add",)),
    "logistic": _Form("LOGISTIC", 2),
    "tanh": _Form("TANH", 2),
    "softmax": _Form("SOFTMAX", 2, ("Softmax",)),
    "mean": _Form("MEAN", 2, ("Reducer",)),
    "max_pool": _Form("MAX_POOL_2D", 2, ("Pool2D",)),
    "average_pool": _Form("AVERAGE_POOL_2D", 2, ("Pool2D",)),
    "quantize": _Form("QUANTIZE", 1, ("Quantize",)),
    "dequantize": _Form("DEQUANTIZE", 2, ("Dequantize",)),
    "pad": _Form("PAD", 2, ("Pad",)),
    "slice": _Form("SLICE", 2, ("Slice",)),
    "strided_slice": _Form("STRIDED_SLICE", 2, ("StridedSlice",)),
    "concatenation": _Form("CONCATENATION", 2, ("Concatenation",)),
}


class _Writer:
    """Builds one file."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._random = np.random.default_rng(0)
        self._inputs: dict[tuple[str, tuple[int, ...], int], int] = {}
        self._codes: list[Any] = []
        self._buffers = [schema.BufferT()]
        self._tensors: list[Any] = []
        self._operators: list[Any] = []

    def add(self, probe: Probe, name: str, reads: int | None = None) -> int:
        """An operator more, whose output has that name and which reads that tensor, or else an
        input of its own; returns its output."""
        rows, columns = _sides(probe.positions)
        given, answer = [1, rows, columns, probe.inputs], [1, rows, columns, probe.outputs]
        kind = probe.kind
        if kind in ("convolution", "depthwise"):
            if kind == "depthwise":
                given = answer
            weights, bias = self._weights(probe)
            read = [self._input(given), weights, bias]
        elif kind == "linear":
            weights, bias = self._weights(probe)
            answer = [probe.positions, probe.outputs]
            read = [self._input([probe.positions, probe.inputs]), weights, bias]
        elif kind in ("max_pool", "average_pool"):
            read = [self._input(answer)]
        elif kind == "mean":
            read = [self._input(answer), self._constant(np.array([1, 2], np.int32))]
            answer = [1, probe.outputs]
        elif kind in MOVING:
            read = self._moved(kind, answer)
        else:
            answer = [probe.positions, probe.outputs]
            first = self._input(answer, numbers="fp32" if kind == "quantize" else None)
            read = [first if reads is None else reads]
            if kind in ("add", "mul", "relu"):
                read.append(self._input(answer, 1))
        return self._operator(kind, read, answer, name, probe)

    def _moved(self, kind: str, answer: list[int]) -> list[int]:
        """What an operator reads that moves memory into that shape: half of its channels are zeros
        or another tensor's, a slice takes half of what there is."""
        _, rows, columns, channels = answer
        half = channels // 2
        if kind == "concatenation":
            return [self._input([1, rows, columns, each]) for each in (channels - half, half)]
        if kind == "pad":
            given = [1, rows, columns, channels - half]
            told: list[Any] = [[[0, 0]] * 3 + [[half // 2, half - half // 2]]]
        elif kind == "slice":
            given, told = [1, rows, columns, 2 * channels], [[0, 0, 0, channels], answer]
        else:
            given = [1, 2 * rows, 2 * columns, channels]
            told = [[0, 0, 0, 0], given, [1, 2, 2, 1]]
        return [self._input(given), *(self._constant(np.array(each, np.int32)) for each in told)]

    def _weights(self, probe: Probe) -> tuple[int, int]:
        sides, outputs = _sides(probe.kernel), probe.outputs
        if probe.kind == "linear":
            shape: tuple[int, ...] = (outputs, probe.inputs)
        elif probe.kind == "depthwise":
            shape = (1, *sides, outputs)
        else:
            shape = (outputs, *sides, probe.inputs)
        if self._numbers == "fp32":
            weights = self._random.standard_normal(shape).astype(np.float32)
            return self._constant(weights), self._constant(np.ones(outputs, np.float32))
        weights = self._random.integers(-127, 128, shape).astype(np.int8)
        axis = 3 if probe.kind == "depthwise" else 0
        scales = np.full(outputs, 0.01, np.float32)
        bias = np.ones(outputs, np.int32)
        return (
            self._constant(weights, scales, axis), self._constant(bias, scales * np.float32(_STEP))
        )  # fmt: skip

    def _constant(self, values: Any, scales: Any = None, axis: int = 0) -> int:
        self._buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
        kind = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32,
                "float32": schema.TensorType.FLOAT32}[values.dtype.name]  # fmt: skip
        return self._tensor(
            list(values.shape), kind, f"c{len(self._tensors)}", scales, axis, len(self._buffers) - 1
        )

    def _input(self, shape: list[int], which: int = 0, numbers: Numbers | None = None) -> int:
        numbers = numbers or self._numbers
        key = (numbers, tuple(shape), which)
        if key not in self._inputs:
            self._inputs[key] = self._activation(shape, f"x{len(self._inputs)}", numbers)
        return self._inputs[key]

    def _activation(
        self, shape: list[int], name: str, numbers: Numbers, scale: float = _STEP, zero: int = 0
    ) -> int:
        if numbers == "fp32":
            return self._tensor(shape, schema.TensorType.FLOAT32, name)
        scales = np.array([scale], np.float32)
        return self._tensor(shape, schema.TensorType.INT8, name, scales, zero=zero)

    def _tensor(
        self, shape: list[int], kind: int, name: str, scales: Any = None, axis: int = 0,
        buffer: int = 0, zero: int = 0,
    ) -> int:  # fmt: skip
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = shape, kind, buffer
        tensor.name, tensor.hasRank = name.encode(), True
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.full(len(scales), zero, np.int64)
            tensor.quantization.quantizedDimension = axis
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _operator(
        self, kind: str, inputs: list[int], shape: list[int], name: str, probe: Probe
    ) -> int:
        numbers: Numbers = "fp32" if kind == "dequantize" else self._numbers
        answer = self._activation(shape, name, numbers, *_ANSWERS.get(kind, (_STEP, 0)))
        return self._append(FORMS[kind], inputs, answer, probe)

    def first(self, whole: int) -> int:
        """The first number of a tensor."""
        answer = copy(self._tensors[whole])
        axes = len(answer.shape)
        answer.shape, answer.name = [1] * axes, b"first of " + answer.name
        self._tensors.append(answer)
        place = len(self._tensors) - 1
        begin, size = (self._constant(np.full(axes, each, np.int32)) for each in (0, 1))
        return self._append(FORMS["slice"], [whole, begin, size], place, SMALL)

    def _append(self, form: _Form, inputs: list[int], answer: int, probe: Probe) -> int:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(form)
        operator.inputs, operator.outputs = inputs, [answer]
        for each in form.options:
            options = getattr(schema, f"{each}OptionsT")()
            _set(options, probe)
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{each}Options")
            operator.builtinOptions = options
        self._operators.append(operator)
        return answer

    def _code(self, form: _Form) -> int:
        number = getattr(schema.BuiltinOperator, form.name)
        for place, each in enumerate(self._codes):
            if each.builtinCode == number:
                return place
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
        code.version = form.version
        self._codes.append(code)
        return len(self._codes) - 1

    def content(self, outputs: list[int]) -> tuple[bytes, Signature]:
        """The file's bytes, and what it takes and gives: those tensors."""
        inputs = list(self._inputs.values())
        signature = Signature(tuple(map(self._spec, inputs)), tuple(map(self._spec, outputs)))
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs, graph.name = inputs, outputs, b"main"
        words = schema.SignatureDefT()
        words.inputs = [self._entry(index) for index in inputs]
        words.outputs = [self._entry(index) for index in outputs]
        words.signatureKey, words.subgraphIndex = b"serving_default", 0
        model = schema.ModelT()
        model.version, model.description = 3, b"probes"
        model.operatorCodes, model.subgraphs, model.buffers = self._codes, [graph], self._buffers
        model.signatureDefs, model.metadata = [words], []
        file = File.__new__(File)
        file.model, file.graph = model, graph
        spec = Spec("fp32" if self._numbers == "fp32" else "int8", (), "integer", "probes")
        file.attach(METADATA, describe(spec, signature).encode())
        return file.pack(), signature

    def _entry(self, index: int) -> Any:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = self._tensors[index].name, index
        return entry

    def _spec(self, index: int) -> TensorSpec:
        tensor = self._tensors[index]
        whole = tensor.type == schema.TensorType.INT8
        scale, zero = None, None
        if whole:
            scale = float(tensor.quantization.scale[0])
            zero = int(tensor.quantization.zeroPoint[0])
        return TensorSpec(
            tensor.name.decode(), tuple(tensor.shape), "", "int8" if whole else "float32",
            scale, zero,
        )  # fmt: skip


def _set(options: Any, probe: Probe) -> None:
    """The options of an operator that keeps its input's height and width."""
    sides = _sides(probe.kernel)
    told = {
        "padding": schema.Padding.SAME, "strideW": 1, "strideH": 1, "dilationWFactor": 1,
        "dilationHFactor": 1, "depthMultiplier": 1, "filterHeight": sides[0],
        "filterWidth": sides[1], "axis": 3, "beta": 1.0, "potScaleInt16": True, "keepNumDims": True,
    }  # fmt: skip
    for name, value in told.items():
        if hasattr(options, name):
            setattr(options, name, value)
    if probe.kind == "relu":
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU


def _sides(count: int) -> tuple[int, int]:
    """The two factors of a number that are nearest to each other."""
    rows = math.isqrt(count)
    while count % rows:
        rows -= 1
    return rows, count // rows
