"""ExecuTorch files (.pte): written from the program, run by XNNPACK. NCHW, batch 1.

int8 files take and give floats and round inside, as XNNPACK's delegate takes no integers.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from edgedistill.errors import UserError
from edgedistill.program import MAIN
from edgedistill.records import Look, OperatorRow
from edgedistill.runtimes import Spec
from edgedistill.runtimes.native import METADATA, Running, describe, hushed, look, read_description
from edgedistill.scratch import scratch_folder
from edgedistill.signature import Layout, Signature, TensorSpec, blank

if TYPE_CHECKING:
    from edgedistill.program import Program
    from edgedistill.runtimes import Array

_FORWARD = "forward"
_DTYPES = {0: "uint8", 1: "int8", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 11: "bool"}
"""ExecuTorch's numbers for types that a boundary has."""


def write(program: Program, path: Path, spec: Spec) -> Signature:
    """Weights are int8 in an int8 file. What the file says of itself is a method of it, which gives
    a text.

    Raises UserError: weights alone are int8.
    """
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    from edgedistill.program import graph_of
    from edgedistill.runtimes.program import fold_weights, made_once, rounds_weights_alone

    if spec.precision == "int8" and rounds_weights_alone(program):
        raise UserError(
            "executorch: its XNNPACK has no layer whose weights alone are int8",
            "leave `executorch` out of the target's runtimes, or export fp32",
        )
    folded = made_once(program, "folded", lambda: fold_weights(program))
    inputs, outputs = (
        tuple(dataclasses.replace(each, shape=each.of_batch(1)) for each in ends)
        for ends in (program.signature.inputs, program.signature.outputs)
    )
    signature = dataclasses.replace(program.signature, inputs=inputs, outputs=outputs)
    with torch.no_grad(), hushed():
        fixed = torch.export.export(graph_of(folded), blank(inputs, 1))
        lowered = to_edge_transform_and_lower(
            fixed,
            partitioner=[XnnpackPartitioner()],
            constant_methods={METADATA: describe(spec, signature)},
        )
        path.write_bytes(lowered.to_executorch().buffer)
    return signature


def load(path: Path, threads: int = 1, optimize: bool = True, program: str = MAIN) -> _Loaded:
    """A file holds one program; and it has one set of kernels, whatever `optimize` says. The number
    of threads is the process's: as the first of those files says that are loaded now."""
    return _Loaded(path, threads)


_LOADED: WeakSet[_Loaded] = WeakSet()
"""What holds on to the process's threads, and is lost where these are made anew."""


class _Loaded(Running):
    def __init__(self, path: Path, threads: int) -> None:
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime

        self._path = path
        with hushed():
            if not _LOADED and portable_lib._threadpool_get_thread_count() != threads:
                portable_lib._unsafe_reset_threadpool(threads)
            _LOADED.add(self)
            # Kept, as a method runs in its program's memory and does not hold it.
            self._content = path.read_bytes()
            self._program = opened = Runtime.get().load_program(self._content)
            self._method: Any = opened.load_method(_FORWARD)
            if METADATA in opened.method_names:
                (words,) = opened.load_method(METADATA).execute([])
                self.signature = read_description(words)
            else:
                self.signature = _plain(opened.metadata(_FORWARD))
        self._inputs = [each.name for each in self.signature.inputs]
        self._outputs = [each.name for each in self.signature.outputs]

    def run(self, native: dict[str, Array]) -> dict[str, Array]:
        import numpy as np
        import torch

        # Strides are not looked at: what is laid out otherwise is read as it lies.
        plain = (np.ascontiguousarray(native[name]) for name in self._inputs)
        given = self._method.execute(list(map(torch.from_numpy, plain)))
        return {name: each.numpy() for name, each in zip(self._outputs, given, strict=True)}

    def operators(self) -> list[OperatorRow]:
        """Without times, as its Python package has no profiler."""
        return [
            OperatorRow(name, kind, "float32" if is_float else "int8", None, place)
            for kind, name, is_float, place in _run(self._path)
        ]


def _plain(method: Any) -> Signature:
    """For a file that says nothing about itself."""

    def spec(name: str, tensor: Any, layouts: dict[int, Layout]) -> TensorSpec:
        sizes = tuple(tensor.sizes())
        return TensorSpec(name, sizes, layouts.get(len(sizes), ""), _DTYPES[tensor.dtype()])

    return Signature(
        tuple(spec(f"input_{place}", method.input_tensor_meta(place), {4: "NCHW"})
              for place in range(method.num_inputs())),
        tuple(spec(f"output_{place}", method.output_tensor_meta(place), {2: "NC"})
              for place in range(method.num_outputs())),
    )  # fmt: skip


def inspect(path: Path) -> Look:
    """See `Runtime.inspect`. Of the delegate's graphs and of what runs outside them."""
    rows = _run(path)
    kinds = Counter(kind for kind, _, _, _ in rows)
    converts, transposes = kinds["XNNConvert"], kinds["XNNStaticTranspose"]
    ends = _ends(path) if converts else 0
    told = [(kind, name, is_float) for kind, name, is_float, _ in rows]
    return look(dict(kinds), converts - ends, transposes, told)


def _run(path: Path) -> list[tuple[str, str, bool, str]]:
    """(type, name, whether it computes in float, what runs it) of each operator."""
    plan, graphs = _read(path)
    rows = [
        (node["xnode_union_type"], f"{number}.{node['debug_handle']}",
         _dtype(graph, node) in ("xnn_datatype_fp32", "xnn_datatype_fp16"), "XNNPACK")
        for number, graph in enumerate(graphs)
        for node in graph["xnodes"]
    ]  # fmt: skip
    for place, step in enumerate(each for chain in plan.chains for each in chain.instructions):
        call = step.instr_args
        if type(call).__name__ == "KernelCall":
            name = plan.operators[call.op_index].name
            rows.append((name, f"{place}", _computes_float(plan, call), "CPU portable"))
    return rows


def _computes_float(plan: Any, call: Any) -> bool:
    from executorch.exir.scalar_type import ScalarType

    given = (plan.values[each].val for each in call.args)
    return any(getattr(each, "scalar_type", None) == ScalarType.FLOAT for each in given)


def _ends(path: Path) -> int:
    """How many conversions between floats and integers are at the delegate's boundary."""
    _, graphs = _read(path)
    found = 0
    for graph in graphs:
        outside = {*graph["input_ids"], *graph["output_ids"]}
        for node in graph["xnodes"]:
            ends = {node["xnode_union"].get("input_id"), node["xnode_union"].get("output_id")}
            found += node["xnode_union_type"] == "XNNConvert" and bool(ends & outside)
    return found


def _dtype(graph: Any, node: Any) -> str:
    """XNNPACK's word for the type of what a node gives."""
    value = graph["xvalues"][node["xnode_union"]["output_id"]]["xvalue_union"]
    return str(value.get("tensor_value", value)["datatype"])


def _read(path: Path) -> tuple[Any, list[Any]]:
    """The plan of the file's program, and the graph of each of its delegates as XNNPACK's schema
    has it."""
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (
        XNNHeader,
        _get_schema_bytes,
    )
    from executorch.exir._serialize._flatbuffer import _flatc_decompile
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(path.read_bytes()).program
    plan = next(each for each in program.execution_plan if each.name == _FORWARD)
    graphs = []
    for delegate in plan.delegates:
        stored = program.backend_delegate_data[delegate.processed.index].data
        header = XNNHeader.from_bytes(stored[: XNNHeader.EXPECTED_LENGTH])
        end = header.flatbuffer_offset + header.flatbuffer_size
        with scratch_folder() as folder:
            (folder / "schema.fbs").write_bytes(_get_schema_bytes())
            (folder / "graph.bin").write_bytes(stored[header.flatbuffer_offset : end])
            _flatc_decompile(str(folder), str(folder / "schema.fbs"), str(folder / "graph.bin"))
            text = (folder / "graph.json").read_text().replace("inf,", "Infinity,")
            graphs.append(json.loads(text.replace("inf\n", "Infinity\n")))
    return plan, graphs
