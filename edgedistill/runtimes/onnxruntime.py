"""ONNX files: written from the program, run by ONNX Runtime. NCHW, any batch."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from edgedistill.program import MAIN
from edgedistill.records import Look, OperatorRow
from edgedistill.runtimes import Spec
from edgedistill.runtimes.native import (
    METADATA,
    Running,
    describe,
    in_float,
    look,
    read_description,
)
from edgedistill.runtimes.onnx import graph as onnx_graph
from edgedistill.runtimes.onnx import integers
from edgedistill.runtimes.onnx.clean_up import Q
from edgedistill.scratch import scratch_folder
from edgedistill.signature import Layout, Signature, TensorSpec

if TYPE_CHECKING:
    from edgedistill.program import Program
    from edgedistill.runtimes import Array


def write(program: Program, path: Path, spec: Spec) -> Signature:
    """Weights are int8 and biases int32 in an int8 file; fp16 keeps float32 at its boundary.

    Where weights alone are int8, activations that are float have the runtime unpack them as it
    loads; else it rounds those of linear layers, in blocks of 32 where there is one row of them.
    """
    import onnx

    model, signature = onnx_graph.build(
        program, spec, "spelled_out" if spec.activations == "float" else "dynamic"
    )
    if spec.precision == "int8" and spec.integers == "unsigned":
        integers.make_unsigned(model.graph)
    _attach(model, spec, signature)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return signature


def _attach(model: Any, spec: Spec, signature: Signature) -> None:
    import onnx

    words = {
        METADATA: describe(spec, signature),
        "labels": json.dumps(spec.labels),
        "input_range": json.dumps(signature.inputs[0].range),
        "input_layout": signature.inputs[0].layout,
    }
    onnx.helper.set_model_props(model, words)


def load(path: Path, threads: int = 1, optimize: bool = True, program: str = MAIN) -> _Loaded:
    """A file holds one program; `program` is of runtimes whose files hold several."""
    return _Loaded(path, threads, optimize)


class _Loaded(Running):
    def __init__(self, path: Path, threads: int, optimize: bool) -> None:
        self._path, self._threads, self._optimize = path, threads, optimize
        self._session = _session(path, threads, optimize)
        words = self._session.get_modelmeta().custom_metadata_map
        if METADATA in words:
            self.signature = read_description(words[METADATA])
        else:
            self.signature = _plain(self._session)
        self._outputs = [each.name for each in self.signature.outputs]

    def run(self, native: dict[str, Array]) -> dict[str, Array]:
        given = self._session.run(self._outputs, native)
        return dict(zip(self._outputs, given, strict=True))

    def operators(self) -> list[OperatorRow]:
        """Times are the median of 20 profiled inferences of one image."""
        import numpy as np

        with scratch_folder() as folder:
            prefix = str(folder / "profile")
            session = _session(self._path, self._threads, self._optimize, prefix)
            zeros = {
                each.name: np.zeros(each.of_batch(1), each.dtype) for each in self.signature.inputs
            }
            for _ in range(22):
                session.run(None, zeros)
            return profiled(Path(session.end_profiling()))


def profiled(trace: Path) -> list[OperatorRow]:
    """The operators in a trace that ONNX Runtime wrote of 22 inferences. Times are the median of
    the last 20."""
    import numpy as np

    # Names in a file need not be text, and the profile repeats them as they are.
    events = json.loads(trace.read_text(errors="replace"), strict=False)
    times: dict[str, list[float]] = {}
    about: dict[str, _Ran] = {}
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


class _Ran(TypedDict):
    """What a profile says of an operator."""

    op_name: str
    provider: str
    output_type_shape: list[dict[str, list[int]]]


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


def _plain(session: Any) -> Signature:
    """For a file that says nothing about itself."""

    def spec(value: Any, layouts: dict[int, Layout]) -> TensorSpec:
        shape = tuple(size if isinstance(size, int) else None for size in value.shape)
        return TensorSpec(value.name, shape, layouts.get(len(shape), ""), _dtype(value))

    return Signature(
        tuple(spec(each, {4: "NCHW"}) for each in session.get_inputs()),
        tuple(spec(each, {2: "NC"}) for each in session.get_outputs()),
    )


def _dtype(value: Any) -> str:
    """numpy's word for `tensor(float)` and its like."""
    known = {"tensor(float)": "float32", "tensor(double)": "float64"}
    return known.get(value.type) or str(value.type).removeprefix("tensor(")[:-1]


_INTEGER = ("QLinear", "QGemm", "QAttention", "MatMulInteger", "ConvInteger")


def inspect(path: Path) -> Look:
    """See `Runtime.inspect`. Asked of the runtime, by a profile of one inference: what it joins to
    integer kernels depends on the processor. On x86 it makes some activations unsigned first, and a
    layer between both kinds stays in float; `arm64` says what it does where it need not."""
    import onnx

    graph = onnx.load(path).graph
    kinds = Counter(node.op_type for node in graph.node)
    found = look(dict(kinds), onnx_graph.inner_pairs(graph), kinds["Transpose"], _executed(path))
    if Q in found["operators"]:
        signed = in_float(_executed(path, {"session.qdqisint8allowed": "1"}))
        found["arm64"] = {
            "executed": signed["executed"],
            "float_counts": signed["float_counts"],
        }
    return found


def _executed(path: Path, settings: dict[str, str] | None = None) -> list[tuple[str, str, bool]]:
    """(type, name, whether it computes in float) of each operator that runs."""
    import numpy as np

    with scratch_folder() as folder:
        session = _session(path, 1, True, str(folder / "profile"), settings)
        zeros = {
            each.name: np.zeros(
                [size if isinstance(size, int) else 1 for size in each.shape], _dtype(each)
            )
            for each in session.get_inputs()
        }
        session.run(None, zeros)
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
