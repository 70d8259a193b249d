"""OpenVINO IR files (.xml beside .bin), made from the ONNX graph: OpenVINO's own reading of
quantized torch programs gives other numbers. NCHW, batch 1, as fixed shapes run faster."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.program import MAIN
from edgedistill.records import Look, OperatorRow
from edgedistill.runtimes import Spec
from edgedistill.runtimes.native import (
    METADATA,
    Running,
    describe,
    look,
    read_description,
)
from edgedistill.runtimes.onnx import graph as onnx_graph
from edgedistill.runtimes.openvino_ir import graph as openvino_graph
from edgedistill.scratch import scratch_folder
from edgedistill.signature import Inputs, Layout, Signature, TensorSpec

if TYPE_CHECKING:
    from edgedistill.program import Program
    from edgedistill.runtimes import Array

_GROUP_SIZE = ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]
"""Where a file says how many activations share a scale; 0: they stay in float."""


def write(program: Program, path: Path, spec: Spec) -> Signature:
    """The weights are int8 in an int8 file and float16 in an fp16 file. Where weights alone are
    int8, the file itself tells the runtime whether it may round activations."""
    import openvino as ov

    full = dataclasses.replace(spec, precision="fp32") if spec.precision == "fp16" else spec
    graph, signature = onnx_graph.build(program, full)
    onnx_graph.unshare(graph.graph)
    signature = dataclasses.replace(
        signature, inputs=_of_one(signature.inputs), outputs=_of_one(signature.outputs)
    )
    model = _convert(graph, signature.inputs)
    ends = (*model.inputs, *model.outputs), (*signature.inputs, *signature.outputs)
    for value, tensor in zip(*ends, strict=True):
        value.get_tensor().set_names({tensor.name})
    model.set_rt_info(describe(spec, signature), [METADATA, "description"])
    model.set_rt_info(json.dumps(spec.labels), [METADATA, "labels"])
    if spec.precision == "int8" and spec.activations == "float":
        model.set_rt_info("0", _GROUP_SIZE)
    model.friendly_name = spec.name
    ov.save_model(model, path, compress_to_fp16=spec.precision == "fp16")
    return signature


def _of_one(tensors: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    return tuple(dataclasses.replace(each, shape=each.of_batch(1)) for each in tensors)


def _convert(graph: Any, inputs: Inputs) -> Any:
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
        model.reshape({each.name: list(each.shape) for each in inputs})
        apply_moc_transformations(model, cf=False, smart_reshape=True)
        compress_quantize_weights_transformation(model)
    openvino_graph.quantize_inputs(model)
    openvino_graph.keep_rounding(model)
    openvino_graph.name_by_place(model)
    return model


def load(path: Path, threads: int = 1, optimize: bool = True, program: str = MAIN) -> _Loaded:
    """A file holds one program; `program` is of runtimes whose files hold several."""
    return _Loaded(path, threads, optimize)


class _Loaded(Running):
    def __init__(self, path: Path, threads: int, optimize: bool) -> None:
        model = _read(path)
        self._made_of = path, threads, optimize
        self._request = _compile(model, threads, optimize).create_infer_request()
        if model.has_rt_info([METADATA, "description"]):
            text = model.get_rt_info([METADATA, "description"]).astype(str)
            self.signature = read_description(text)
        else:
            self.signature = _plain(model)
        self._inputs = [each.name for each in self.signature.inputs]
        self._outputs = [each.name for each in self.signature.outputs]

    def run(self, native: dict[str, Array]) -> dict[str, Array]:
        results = self._request.infer([native[name] for name in self._inputs])
        return {name: results[place] for place, name in enumerate(self._outputs)}

    def operators(self) -> list[OperatorRow]:
        """Times are the median of 20 profiled inferences of one image."""
        native = [np.zeros(each.of_batch(1), each.dtype) for each in self.signature.inputs]
        path, threads, optimize = self._made_of
        # Counting costs time, so it is done by a copy that nobody else measures.
        request = _compile(_read(path), threads, optimize, count=True).create_infer_request()
        runs = []
        for _ in range(22):
            request.infer(native)
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

    config: dict[str, int | str] = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "PERF_COUNT": count,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if not optimize:
        config["LP_TRANSFORMS_MODE"] = False
    return ov.compile_model(model, "CPU", config)


def _plain(model: Any) -> Signature:
    """For a file that says nothing about itself."""

    def spec(value: Any, layouts: dict[int, Layout]) -> TensorSpec:
        sizes = value.partial_shape
        shape = tuple(None if size.is_dynamic else size.get_length() for size in sizes)
        dtype = np.dtype(value.element_type.to_dtype()).name
        return TensorSpec(value.any_name, shape, layouts.get(len(shape), ""), dtype)

    return Signature(
        tuple(spec(each, {4: "NCHW"}) for each in model.inputs),
        tuple(spec(each, {2: "NC"}) for each in model.outputs),
    )


def inspect(path: Path) -> Look:
    """See `Runtime.inspect`. Asked of the runtime, which compiles a file for the processor."""
    model = _read(path)
    compiled = _compile(model, 1, True).get_runtime_model()
    written = openvino_graph.inspect(model)
    return look(
        written["operators"],
        written["inner_pairs"],
        written["transposes"],
        openvino_graph.executed(model, compiled),
    )
