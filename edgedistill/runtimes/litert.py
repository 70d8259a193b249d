"""TFLite files: written by litert-torch from the program, run by LiteRT. NHWC, batch 1."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgedistill.records import OperatorRow
from edgedistill.runtimes import INPUT, OUTPUT, Spec, Tensor
from edgedistill.runtimes.native import METADATA, describe, hushed, in_float, to_native, to_real

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from edgedistill.runtimes import Array, Floats
    from edgedistill.runtimes.tflite.file import File


def write(program: ExportedProgram, path: Path, spec: Spec) -> tuple[Tensor, Tensor]:
    """int8 files hold int8 weights and int32 biases, and float32 only at the boundary where
    `spec.io` asks for it; fp16 files hold float16 weights that the runtime unpacks as it loads."""
    from edgedistill.runtimes.program import fold_weights, made_once
    from edgedistill.runtimes.tflite import edit
    from edgedistill.runtimes.tflite.file import File
    from edgedistill.runtimes.tflite.layout import remove_transposes

    quantized = spec.precision == "int8"
    file = File(made_once(program, "litert", lambda: _convert(program, quantized)))
    remove_transposes(file)
    edit.remove_fences(file)
    edit.name_tensors(file, [])
    if quantized:
        _name_layers(file, made_once(program, "folded", lambda: fold_weights(program)))
    if spec.precision == "fp16":
        edit.halve_weights(file)
    if quantized and spec.io == "float":
        edit.float_boundary(file)
    edit.name_the_rest(file)
    pixels = _described(file, file.graph.inputs[0], INPUT)
    logits = _described(file, file.graph.outputs[0], OUTPUT)
    file.model.description = f"{spec.name}, {spec.precision}".encode()
    file.attach(METADATA, describe(spec, pixels, logits).encode())
    path.write_bytes(file.pack())
    return pixels, logits


def _name_layers(file: File, program: ExportedProgram) -> None:
    """Name an int8 file's tensors after the program's layers, by what both compute of noise."""
    from edgedistill.runtimes.program import image_shape, layers, record
    from edgedistill.runtimes.tflite import edit

    found = layers(program)
    edit.name_tensors(file, found)
    noise = np.random.default_rng(0).random((1, *image_shape(program)), np.float32)
    pixels = _described(file, file.graph.inputs[0], INPUT)
    given = {"pixels": to_native(noise, pixels)}
    labels = {layer.label: layer.name for layer in found}
    edit.forget_reordered(file, {**record(program, noise), **given}, labels)


def _convert(program: ExportedProgram, quantized: bool) -> bytes:
    import torch

    from edgedistill.runtimes.program import fence_floats, image_shape, module

    class ChannelsLast(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module(program)
            if quantized:
                fence_floats(self.inner)

        def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {OUTPUT: self.inner(pixels.permute(0, 3, 1, 2))}

    wrapped = ChannelsLast()
    wrapped.training = False
    for weight in wrapped.parameters():
        # The converter tells constants apart by their address: of a weight in channels-last order
        # it takes a temporary copy's, and the next copy of that size stands at the same place.
        weight.data = weight.data.contiguous()
    channels, height, width = image_shape(program)
    logging.getLogger("litert_torch").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        hushed(),
        torch.no_grad(),
    ):
        warnings.simplefilter("ignore")
        import litert_torch

        converted = litert_torch.convert(
            wrapped,
            sample_kwargs={INPUT: torch.zeros(1, height, width, channels)},
            quant_config=_static() if quantized else None,
        )
        content: bytes = bytes(converted.model_content())
    return content


def _static() -> Any:
    """Only says that the graph is statically quantized: its own nodes carry every scale."""
    from litert_torch.quantize import pt2e_quantizer, quant_config

    static = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True)
    return quant_config.QuantConfig(
        pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(static)
    )


def _described(file: Any, index: int, name: str) -> Tensor:
    quantization = file.tensor(index).quantization
    scale = zero_point = None
    if quantization is not None and quantization.scale is not None and len(quantization.scale):
        scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
    return _tensor(name, file.tensor(index).shape, file.dtype(index), scale, zero_point)


def _tensor(
    name: str, shape: Any, dtype: str, scale: float | None, zero_point: int | None
) -> Tensor:
    sizes = tuple(int(size) for size in shape)
    images = len(sizes) == 4
    layout: Literal["NHWC", "NCHW", "NC"] = "NC"
    if images:
        layout = "NCHW" if sizes[1] in (1, 3) and sizes[3] not in (1, 3) else "NHWC"
    limits = (0.0, 1.0) if images else None
    return Tensor(name, sizes, layout, dtype, scale, zero_point, limits)


def load(path: Path, threads: int = 1, optimize: bool = True) -> _Loaded:
    return _Loaded(path.read_bytes(), threads, optimize)


class _Loaded:
    def __init__(self, content: bytes, threads: int, optimize: bool) -> None:
        self._optimized = optimize
        self._interpreter = interpreter(content, threads, optimize)
        self._in, self._out = (
            details[0]
            for details in (
                self._interpreter.get_input_details(),
                self._interpreter.get_output_details(),
            )
        )
        self.input, self.output = _live(self._in), _live(self._out)

    def encode(self, pixels: Floats) -> Array:
        return to_native(pixels, self.input)

    def run(self, native: Array) -> Array:
        self._interpreter.set_tensor(self._in["index"], native)
        self._interpreter.invoke()
        result: Array = self._interpreter.get_tensor(self._out["index"])
        return result

    def decode(self, native: Array) -> Floats:
        return to_real(native, self.output)

    def __call__(self, pixels: Floats) -> Floats:
        native = self.encode(pixels)
        return self.decode(
            np.concatenate([self.run(native[i : i + 1]) for i in range(len(native))])
        )

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


def _live(details: dict[str, Any]) -> Tensor:
    scales = details["quantization_parameters"]["scales"]
    scale, zero_point = details["quantization"] if len(scales) else (None, None)
    name = details["name"].removeprefix("serving_default_").removesuffix(":0")
    shape, dtype = details["shape"], np.dtype(details["dtype"]).name
    return _tensor(name, shape, dtype, scale, zero_point)


def _delegated(operators: list[dict[str, Any]]) -> set[int]:
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


def inspect(path: Path) -> dict[str, Any]:
    """See `Runtime.inspect`."""
    from edgedistill.runtimes.tflite import edit
    from edgedistill.runtimes.tflite.file import File
    from edgedistill.runtimes.tflite.transposes import transposes_left

    file = File.read(path)
    return {
        "operators": dict(file.count()),
        **in_float(edit.executed(file)),
        "inner_pairs": edit.inner_pairs(file),
        **transposes_left(file),
    }


def to_channels_first(values: Array) -> Array:
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
