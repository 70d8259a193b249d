"""TFLite files: written by litert-torch from the program, run by LiteRT. NHWC, batch 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from edgedistill.program import MAIN
from edgedistill.records import Look, OperatorRow
from edgedistill.runtimes import Spec
from edgedistill.runtimes.native import (
    METADATA,
    Running,
    describe,
    hushed,
    look,
    to_native,
)
from edgedistill.runtimes.tflite.signature import live_signature, own_words
from edgedistill.signature import Layout, Signature, TensorSpec, noise

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.program import Program
    from edgedistill.runtimes import Array
    from edgedistill.runtimes.program import StoredWeight
    from edgedistill.runtimes.tflite.file import File


_PATCHES = 4
"""In height and in width."""


def write(program: Program, path: Path, spec: Spec) -> Signature:
    """int8 files hold int8 weights and int32 biases, and float32 only at the boundary where
    `spec.io` asks for it, and in what stays in float; fp16 files hold float16 weights that the
    runtime unpacks as it loads, and so do the others where float16 holds a constant exactly.

    Where weights alone are int8, the runtime unpacks them as it loads; with activations that are
    dynamic it multiplies integers in linear layers, and rounds what they read, row by row.
    """
    from edgedistill.runtimes.program import fold_weights, made_once, rounds_weights_alone
    from edgedistill.runtimes.tflite import edit
    from edgedistill.runtimes.tflite.convert import convert
    from edgedistill.runtimes.tflite.file import File
    from edgedistill.runtimes.tflite.layout import remove_transposes
    from edgedistill.runtimes.tflite.weights import store_weights

    quantized = spec.precision == "int8"
    weights_alone = quantized and rounds_weights_alone(program)
    if weights_alone:
        file, weights = _with_float_weights(program)
    else:
        file = File(made_once(program, "litert", lambda: convert(program, quantized)))
    file.order_boundary(
        [each.name for each in program.signature.inputs],
        [each.name for each in program.signature.outputs],
    )
    remove_transposes(file)
    edit.remove_fences(file)
    edit.name_tensors(file, [], program.signature)
    if weights_alone:
        store_weights(file, weights, spec.activations == "dynamic")
    elif quantized:
        _name_layers(file, made_once(program, "folded", lambda: fold_weights(program)))
    if spec.precision == "fp16":
        edit.halve_weights(file)
    if quantized and not weights_alone:  # XNNPACK takes no halved bias with dynamic activations
        edit.halve_exact(file)
    if quantized and spec.io == "float":
        edit.float_boundary(file)
    edit.name_the_rest(file)
    signature = _described(file, program.signature)
    file.model.description = f"{spec.name}, {spec.precision}".encode()
    file.attach(METADATA, describe(spec, signature).encode())
    path.write_bytes(file.pack())
    return signature


def _with_float_weights(program: Program) -> tuple[File, list[StoredWeight]]:
    """The converter takes no stored integers: it is given what they stand for."""
    from edgedistill.runtimes.program import made_once, unpack_weights
    from edgedistill.runtimes.tflite.convert import convert
    from edgedistill.runtimes.tflite.file import File

    plain, weights = made_once(program, "unpacked", lambda: unpack_weights(program, fenced=True))
    return File(made_once(program, "litert", lambda: convert(plain, False))), weights


def _name_layers(file: File, program: Program) -> None:
    """Name an int8 file's tensors after the program's layers, by what both compute of noise."""
    import torch

    from edgedistill.runtimes.program import layers, record
    from edgedistill.runtimes.tflite import edit

    found = layers(program)
    edit.name_tensors(file, found, program.signature)
    drawn = noise(program.signature.inputs, 1, torch.Generator().manual_seed(0))
    inputs = [_in_patches(each).numpy() for each in drawn]
    native = _described(file, program.signature).inputs
    given = [to_native(values, each) for values, each in zip(inputs, native, strict=True)]
    labels = {layer.label: layer.name for layer in found}
    edit.forget_reordered(file, given, record(program, *inputs), labels)


def _in_patches(values: Tensor) -> Tensor:
    """Pictures of a few large patches: a net averages away what differs from pixel to pixel, and
    a tensor that is laid out in another order would then look the same."""
    from torch.nn import functional

    if values.dim() != 4:
        return values
    few = values[:, :, :_PATCHES, :_PATCHES]
    return functional.interpolate(few, values.shape[2:], mode="nearest")


def _described(file: File, signature: Signature) -> Signature:
    """The program's signature with the file's shapes, layouts, types and scales."""

    def of(index: int, spec: TensorSpec) -> TensorSpec:
        tensor, scale, zero_point = file.tensor(index), None, None
        if tensor.quantization is not None and len(_listed(tensor.quantization.scale)):
            scale = float(tensor.quantization.scale[0])
            zero_point = int(tensor.quantization.zeroPoint[0])
        layout: Layout = "NHWC" if spec.layout == "NCHW" else spec.layout
        shape = tuple(map(int, _listed(tensor.shape)))
        return replace(spec, shape=shape, layout=layout, dtype=file.dtype(index), scale=scale,
                       zero_point=zero_point)  # fmt: skip

    inputs = zip(file.graph.inputs, signature.inputs, strict=True)
    outputs = zip(file.graph.outputs, signature.outputs, strict=True)
    return replace(
        signature,
        inputs=tuple(of(index, spec) for index, spec in inputs),
        outputs=tuple(of(index, spec) for index, spec in outputs),
    )


def _listed(values: Any) -> Any:
    return () if values is None else values


def load(
    path: Path, threads: int = 1, optimize: bool = True, program: str = MAIN
) -> _Loaded | _OneOfSeveral:
    """See `Runtime.load`. A program beside others in the file has an interpreter of the whole."""
    content = path.read_bytes()
    words = own_words(content, program)
    if program != MAIN and words is not None:
        return _OneOfSeveral(content, threads, optimize, program, words)
    return _Loaded(content, threads, optimize, words or own_words(content, MAIN))


class _Loaded(Running):
    def __init__(
        self, content: bytes, threads: int, optimize: bool, words: Signature | None
    ) -> None:
        self._optimized = optimize
        self._interpreter = interpreter(content, threads, optimize)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        self.signature = live_signature(inputs, outputs, words)
        self._inputs = _places(self.signature.inputs, inputs)
        self._outputs = _places(self.signature.outputs, outputs)

    def run(self, native: dict[str, Array]) -> dict[str, Array]:
        for name, index in self._inputs.items():
            self._interpreter.set_tensor(index, native[name])
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}

    def operators(self) -> list[OperatorRow]:
        """Without times: LiteRT's Python package reaches no profiler."""
        details = self._interpreter.get_tensor_details()
        names = {each["index"]: each["name"] for each in details}
        operators = self._interpreter._get_ops_details()
        delegated = _delegated(operators)
        rows = []
        for operator in operators:
            if operator["op_name"] == "DELEGATE":
                continue
            output = int(operator["outputs"][0])
            rows.append(
                OperatorRow(
                    names.get(output, str(output)),
                    operator["op_name"],
                    np.dtype(operator["result_types"][0]).name,
                    None,
                    "XNNPACK"
                    if operator["index"] in delegated
                    else "CPU reference"
                    if not self._optimized
                    else "CPU builtin",
                )
            )
        return rows


class _OneOfSeveral(_Loaded):
    """A program of a file that has several, each under a signature of its own."""

    def __init__(
        self, content: bytes, threads: int, optimize: bool, program: str, words: Signature
    ) -> None:
        self._optimized = optimize
        self._interpreter = interpreter(content, threads, optimize)
        self._runner = self._interpreter.get_signature_runner(program)
        inputs, outputs = self._runner.get_input_details(), self._runner.get_output_details()
        self.signature = live_signature(
            [inputs[each.name] for each in words.inputs],
            [outputs[each.name] for each in words.outputs],
            words,
        )

    def run(self, native: dict[str, Array]) -> dict[str, Array]:
        found: dict[str, Array] = self._runner(**native)
        return found


def _places(specs: tuple[TensorSpec, ...], details: list[Any]) -> dict[str, int]:
    return {spec.name: row["index"] for spec, row in zip(specs, details, strict=True)}


class _Operator(TypedDict):
    """What the interpreter says of an operator; tensors by their numbers."""

    index: int
    op_name: str
    inputs: Sequence[int]
    outputs: Sequence[int]


def _delegated(operators: list[_Operator]) -> set[int]:
    """Operators between the inputs and the outputs of a DELEGATE node."""
    makers = {
        int(output): operator
        for operator in operators
        if operator["op_name"] != "DELEGATE"
        for output in operator["outputs"]
    }
    found: set[int] = set()
    for delegate in (each for each in operators if each["op_name"] == "DELEGATE"):
        stop = set(map(int, delegate["inputs"]))
        wanted = [int(index) for index in delegate["outputs"]]
        while wanted:
            index = wanted.pop()
            operator = makers.get(index)
            if index in stop or operator is None or operator["index"] in found:
                continue
            found.add(operator["index"])
            wanted += [int(each) for each in operator["inputs"]]
    return found


def interpreter(content: bytes, threads: int, optimize: bool, keep_all: bool = False) -> Any:
    """A LiteRT interpreter, ready to invoke. `keep_all` keeps every tensor readable, which the
    delegate's kernels do not allow: the builtin ones run then."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN if optimize else OpResolverType.BUILTIN_REF
    if keep_all and optimize:
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with hushed():
        made = Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=resolver,
            experimental_preserve_all_tensors=keep_all,
        )
        made.allocate_tensors()
    return made


def join(paths: Mapping[str, Path], joined: Path) -> str | None:
    """Put the programs of several files into one, where that is smaller: weights that they share
    are stored once. Returns why not, else None; nothing is written then."""
    from edgedistill.runtimes.tflite.file import File
    from edgedistill.runtimes.tflite.merge import merge

    apart = sum(path.stat().st_size for path in paths.values())
    try:
        content = merge({name: File.read(path) for name, path in paths.items()}).pack()
    except ValueError as error:
        return str(error)
    if len(content) >= apart:
        return f"one file would have {len(content)} bytes, several have {apart}"
    joined.write_bytes(content)
    return None


def inspect(path: Path) -> Look:
    """See `Runtime.inspect`."""
    from edgedistill.runtimes.tflite import edit
    from edgedistill.runtimes.tflite.arena import arena_bytes
    from edgedistill.runtimes.tflite.file import File
    from edgedistill.runtimes.tflite.transposes import transposes_left
    from edgedistill.runtimes.tflite.versions import oldest

    file = File.read(path)
    left = transposes_left(file)
    found = look(
        dict(file.count()), edit.inner_pairs(file), left["transposes"], edit.executed(file)
    )
    found["transposed_bytes"] = left["transposed_bytes"]
    found["transposed_around"] = left["transposed_around"]
    found["arena_bytes"] = arena_bytes(file)
    found["oldest"], wanting = oldest(file)
    found["oldest_for"] = list(wanting)
    return found


def to_channels_first(values: Array) -> Array:
    """(batch, height, width, channels) as NCHW; arrays of other dimensions stay."""
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
