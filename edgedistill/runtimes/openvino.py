"""OpenVINO IR files (.xml beside .bin), made from the ONNX graph: OpenVINO's own reading of
quantized torch programs gives other numbers. NCHW, batch 1, as fixed shapes run faster."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.records import OperatorRow
from edgedistill.runtimes import Spec, Tensor
from edgedistill.runtimes.native import (
    METADATA,
    describe,
    in_float,
    read_description,
    to_native,
    to_real,
)
from edgedistill.runtimes.onnx import graph as onnx_graph
from edgedistill.runtimes.openvino_ir import graph as openvino_graph
from edgedistill.scratch import scratch_folder

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from edgedistill.runtimes import Array, Floats


def write(program: ExportedProgram, path: Path, spec: Spec) -> tuple[Tensor, Tensor]:
    """The weights are int8 in an int8 file and float16 in an fp16 file."""
    import openvino as ov

    full = dataclasses.replace(spec, precision="fp32") if spec.precision == "fp16" else spec
    graph, pixels, logits = onnx_graph.build(program, full)
    onnx_graph.unshare(graph.graph)
    pixels, logits = (
        dataclasses.replace(each, shape=(1, *each.shape[1:])) for each in (pixels, logits)
    )
    model = _convert(graph, pixels)
    for value, tensor in ((model.inputs[0], pixels), (model.outputs[0], logits)):
        value.get_tensor().set_names({tensor.name})
    model.set_rt_info(describe(spec, pixels, logits), [METADATA, "description"])
    model.set_rt_info(json.dumps(spec.labels), [METADATA, "labels"])
    model.friendly_name = spec.name
    ov.save_model(model, path, compress_to_fp16=spec.precision == "fp16")
    return pixels, logits


def _convert(graph: Any, pixels: Tensor) -> Any:
    """What `openvino.convert_model` does, which besides reports its use over the network."""
    import onnx
    import openvino as ov
    from openvino._offline_transformations import (
        apply_moc_transformations,
        compress_quantize_weights_transformation,
    )

    with scratch_folder() as folder:
        source = folder / "model.onnx"
        onnx.save(graph, source)
        model = ov.Core().read_model(source)
        model.reshape(list(pixels.shape))
        apply_moc_transformations(model, cf=False, smart_reshape=True)
        compress_quantize_weights_transformation(model)
    openvino_graph.keep_rounding(model)
    openvino_graph.name_by_place(model)
    return model


def load(path: Path, threads: int = 1, optimize: bool = True) -> _Loaded:
    return _Loaded(path, threads, optimize)


class _Loaded:
    def __init__(self, path: Path, threads: int, optimize: bool) -> None:
        model = _read(path)
        self._made_of = path, threads, optimize
        self._request = _compile(model, threads, optimize).create_infer_request()
        if model.has_rt_info([METADATA, "description"]):
            text = model.get_rt_info([METADATA, "description"]).astype(str)
            self.input, self.output = read_description(text)
        else:
            self.input = _plain(model.inputs[0], "NCHW")
            self.output = _plain(model.outputs[0], "NC")

    def encode(self, pixels: Floats) -> Array:
        return to_native(pixels, self.input)

    def run(self, native: Array) -> Array:
        result: Array = self._request.infer([native])[0]
        return result

    def decode(self, native: Array) -> Floats:
        return to_real(native, self.output)

    def __call__(self, pixels: Floats) -> Floats:
        native = self.encode(pixels)
        size = self.input.shape[0] or len(native)
        parts = [self.run(native[i : i + size]).copy() for i in range(0, len(native), size)]
        return self.decode(np.concatenate(parts))

    def operators(self) -> list[OperatorRow]:
        """Times are the median of 20 profiled inferences of one image."""
        shape = [size or 1 for size in self.input.shape]
        native = np.zeros(shape, self.input.dtype)
        path, threads, optimize = self._made_of
        # Counting costs time, so it is done by a copy that nobody else measures.
        request = _compile(_read(path), threads, optimize, count=True).create_infer_request()
        runs = []
        for _ in range(22):
            request.infer([native])
            runs.append(request.get_profiling_info())
        rows = []
        for index, info in enumerate(runs[0]):
            if str(info.status).endswith("EXECUTED"):
                times = [run[index].real_time.total_seconds() * 1e6 for run in runs[2:]]
                kernel, _, dtype = info.exec_type.rpartition("_")
                rows.append(
                    OperatorRow(
                        info.node_name, info.node_type, dtype, float(np.median(times)),
                        f"CPU {kernel}",
                    )
                )  # fmt: skip
        return rows


def _read(path: Path) -> Any:
    import openvino as ov

    return ov.Core().read_model(path)


def _compile(model: Any, threads: int, optimize: bool, count: bool = False) -> Any:
    """Without `optimize` the integer transformations are off: quantize/dequantize nodes are
    computed in float32, as they are written."""
    import openvino as ov

    config: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "PERF_COUNT": count,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if not optimize:
        config["LP_TRANSFORMS_MODE"] = False
    return ov.compile_model(model, "CPU", config)


def _plain(value: Any, layout: Any) -> Tensor:
    """For a file that says nothing about itself."""
    shape = tuple(None if size.is_dynamic else size.get_length() for size in value.partial_shape)
    return Tensor(value.any_name, shape, layout, np.dtype(value.element_type.to_dtype()).name)


def inspect(path: Path) -> dict[str, Any]:
    """See `Runtime.inspect`. Asked of the runtime, which compiles a file for the processor."""
    model = _read(path)
    compiled = _compile(model, 1, True).get_runtime_model()
    return {**openvino_graph.inspect(model), **in_float(openvino_graph.executed(model, compiled))}
