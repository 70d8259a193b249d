"""ONNX files: written from the program, run by ONNX Runtime. NCHW, any batch."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from edgedistill.scratch import scratch_folder

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from edgedistill.runtimes import Array, Floats


def write(program: ExportedProgram, path: Path, spec: Spec) -> tuple[Tensor, Tensor]:
    """Weights are int8 and biases int32 in an int8 file; fp16 keeps float32 at its boundary."""
    import onnx

    model, pixels, logits = onnx_graph.build(program, spec)
    _attach(model, spec, pixels, logits)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return pixels, logits


def _attach(model: Any, spec: Spec, pixels: Tensor, logits: Tensor) -> None:
    import onnx

    words = {
        METADATA: describe(spec, pixels, logits),
        "labels": json.dumps(spec.labels),
        "input_range": json.dumps(pixels.range),
        "input_layout": pixels.layout,
    }
    onnx.helper.set_model_props(model, words)


def load(path: Path, threads: int = 1, optimize: bool = True) -> _Loaded:
    return _Loaded(path, threads, optimize)


class _Loaded:
    def __init__(self, path: Path, threads: int, optimize: bool) -> None:
        self._path, self._threads, self._optimize = path, threads, optimize
        self._session = _session(path, threads, optimize)
        words = self._session.get_modelmeta().custom_metadata_map
        if METADATA in words:
            self.input, self.output = read_description(words[METADATA])
        else:
            self.input = _plain(self._session.get_inputs()[0], "NCHW")
            self.output = _plain(self._session.get_outputs()[0], "NC")

    def encode(self, pixels: Floats) -> Array:
        return to_native(pixels, self.input)

    def run(self, native: Array) -> Array:
        result: Array = self._session.run([self.output.name], {self.input.name: native})[0]
        return result

    def decode(self, native: Array) -> Floats:
        return to_real(native, self.output)

    def __call__(self, pixels: Floats) -> Floats:
        return self.decode(self.run(self.encode(pixels)))

    def operators(self) -> list[OperatorRow]:
        """Times are the median of 20 profiled inferences of one image."""
        import numpy as np

        with scratch_folder() as folder:
            prefix = str(folder / "profile")
            session = _session(self._path, self._threads, self._optimize, prefix)
            shape = [size or 1 for size in self.input.shape]
            for _ in range(22):
                session.run(None, {self.input.name: np.zeros(shape, self.input.dtype)})
            # Names in a file need not be text, and the profile repeats them as they are.
            profile = Path(session.end_profiling()).read_text(errors="replace")
            events = json.loads(profile, strict=False)
        times: dict[str, list[float]] = {}
        about: dict[str, dict[str, Any]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                name = event["name"].removesuffix("_kernel_time")
                times.setdefault(name, []).append(float(event["dur"]))
                about[name] = event["args"]
        return [
            OperatorRow(
                name,
                about[name]["op_name"],
                "/".join(kind for each in about[name]["output_type_shape"] for kind in each),
                float(np.median(each[2:])),
                about[name]["provider"],
            )
            for name, each in times.items()
        ]


def _session(
    path: Path | bytes,
    threads: int,
    optimize: bool,
    profile: str = "",
    settings: dict[str, str] | None = None,
) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # What it would log of a failure is in its exception too, without a terminal's codes.
    options.log_severity_level = 4
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    for key, value in (settings or {}).items():
        options.add_session_config_entry(key, value)
    source = path if isinstance(path, bytes) else str(path)
    return onnxruntime.InferenceSession(
        source, options, providers=["CPUExecutionProvider"], enable_fallback=0
    )


def _plain(value: Any, layout: Any) -> Tensor:
    """For a file that says nothing about itself."""
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    dtype = {"tensor(float)": "float32", "tensor(float16)": "float16"}.get(value.type)
    return Tensor(value.name, shape, layout, dtype or value.type.removeprefix("tensor(")[:-1])


_INTEGER = ("QLinear", "QGemm", "QAttention", "MatMulInteger", "ConvInteger")


def inspect(path: Path) -> dict[str, Any]:
    """See `Runtime.inspect`. Asked of the runtime, by a profile of one inference: what it joins to
    integer kernels depends on the processor. On x86 it makes some activations unsigned first, and a
    layer between both kinds stays in float; `arm64` says what it does where it need not."""
    import onnx

    graph = onnx.load(path).graph
    found = {
        "operators": dict(Counter(node.op_type for node in graph.node)),
        **in_float(_executed(path)),
        "inner_pairs": onnx_graph.inner_pairs(graph),
        "transposes": sum(node.op_type == "Transpose" for node in graph.node),
    }
    if onnx_graph.Q in found["operators"]:
        signed = in_float(_executed(path, {"session.qdqisint8allowed": "1"}))
        found["arm64"] = {key: signed[key] for key in ("executed", "float_counts")}
    return found


def _executed(path: Path, settings: dict[str, str] | None = None) -> list[tuple[str, str, bool]]:
    """(type, name, whether it computes in float) of each operator that runs."""
    import numpy as np

    with scratch_folder() as folder:
        session = _session(path, 1, True, str(folder / "profile"), settings)
        (pixels,) = session.get_inputs()
        shape = [size if isinstance(size, int) else 1 for size in pixels.shape]
        kind = np.int8 if pixels.type == "tensor(int8)" else np.float32
        session.run(None, {pixels.name: np.zeros(shape, kind)})
        profile = Path(session.end_profiling()).read_text(errors="replace")
    rows = []
    for event in json.loads(profile, strict=False):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind = event["args"]["op_name"]
            types = {each for key in ("input_type_shape", "output_type_shape")
                     for typed in event["args"][key] for each in typed}  # fmt: skip
            is_float = not kind.startswith(_INTEGER) and bool(types & {"float", "float16"})
            rows.append((kind, event["name"].removesuffix("_kernel_time"), is_float))
    return rows
