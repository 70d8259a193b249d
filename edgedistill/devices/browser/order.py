"""A job as the page takes it: files that it reads, files that it fills, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.devices.job import Job, Unfit
from edgedistill.devices.native import prepared
from edgedistill.program import MAIN
from edgedistill.signature import Signature

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TAKEN = ("float32", "int32", "uint8")
"""Types of the inputs and outputs that LiteRT.js knows (`datatypes.ts`)."""


@dataclass(frozen=True)
class Order:
    """What goes to the page, and where its answers go."""

    said: Mapping[str, Any]
    """As `measure.js` reads it."""
    given: Mapping[str, Path]
    """Files by their paths in the page's folder."""
    taken: Mapping[str, Path]
    """Files that the page's outputs are added to, in the order of the signature."""
    signature: Signature


@dataclass(frozen=True)
class _Names:
    """What a file itself calls one of its programs, and that program's inputs and outputs in the
    order of its signature."""

    program: str | None
    inputs: Sequence[str]
    outputs: Sequence[str]


def order_of(job: Job, backend: str, folder: Path) -> Order:
    """The job's files in `folder`, its inputs encoded as the model file wants them.

    Raises UserError: the file cannot be read, its inputs are others, or it has types that LiteRT.js
    does not take.
    """
    found = prepared(job, folder)
    if job.runtime == "litert":
        check_types(job.model.name, found.signature)
    model, *inputs = found.files
    given = {"job/model": model, "job/nothing.onnx": _nothing(folder / "nothing.onnx")}
    given |= {f"job/input/{place}": file for place, file in enumerate(inputs)}
    outputs = range(len(found.signature.outputs))
    names = _names(job, found.signature)
    ends = zip(names.inputs, found.signature.inputs, _shapes(job, found.signature), strict=True)
    said = {
        **asdict(job.protocol),
        "runtime": job.runtime,
        "backend": backend,
        "program": names.program,
        "samples": found.samples,
        "inputs": [{"name": name, "dtype": spec.dtype, "shape": shape}
                   for name, spec, shape in ends],
        "outputs": names.outputs,
        "answer": job.profile,
    }  # fmt: skip
    taken = {f"job/output/{place}": folder / f"output-{place}" for place in outputs}
    return Order(said, given, taken, found.signature)


def _shapes(job: Job, signature: Signature) -> list[list[int]]:
    """Of one sample of each input as the file takes it; the signature leaves sizes open that the
    job's arrays have."""
    import numpy as np

    found = []
    with np.load(job.inputs) as arrays:
        for spec in signature.inputs:
            sizes = arrays[spec.name].shape[1:]
            if spec.layout == "NHWC":
                sizes = (*sizes[1:], sizes[0])
            found.append([1, *sizes])
    return found


def check_types(file: str, signature: Signature) -> None:
    """Raises UserError: an input or output has a type that LiteRT.js has no tensors of."""
    for each in (*signature.inputs, *signature.outputs):
        if each.dtype not in _TAKEN:
            taken = f"{', '.join(_TAKEN[:-1])} and {_TAKEN[-1]}"
            raise Unfit(
                f"{file}: LiteRT.js takes {taken}, and `{each.name}` is {each.dtype}",
                "compile for a target whose scheme says `io: float`, as `web-wasm` does: the file "
                "then takes and gives floats, and has integers inside",
            )


def _names(job: Job, signature: Signature) -> _Names:
    if job.runtime == "litert":
        return _tflite_names(job.model.read_bytes(), job.program)
    inputs, outputs = ([each.name for each in ends]
                       for ends in (signature.inputs, signature.outputs))  # fmt: skip
    return _Names(None, inputs, outputs)


def _tflite_names(content: bytes, program: str) -> _Names:
    """The names in the file's own signature of a program, or, where it has none, its tensors'; in
    the order that the graph has, which is that of our signature."""
    from ai_edge_litert.tools.flatbuffer_utils import read_model_from_bytearray

    model = read_model_from_bytearray(bytearray(content))
    own = model.signatureDefs or []
    entry = next((each for each in own if each.signatureKey.decode() == program), None)
    if entry is None and program == MAIN:
        entry = next((each for each in own if each.subgraphIndex == 0), None)
    graph = model.subgraphs[0 if entry is None else entry.subgraphIndex]

    def named(places: Any, entries: Any) -> list[str]:
        known = {each.tensorIndex: each.name.decode() for each in entries}
        return [known.get(place) or graph.tensors[place].name.decode() for place in places]

    return _Names(
        None if entry is None else entry.signatureKey.decode(),
        named(graph.inputs, () if entry is None else entry.inputs),
        named(graph.outputs, () if entry is None else entry.outputs),
    )


def _nothing(path: Path) -> Path:
    """A model that gives back its input: with it ONNX Runtime Web starts before it is timed."""
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "nothing", ends[:1], ends[1:]
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def outputs_of(order: Order, told: list[dict[str, Any]]) -> dict[str, NDArray[np.generic]]:
    """The file's own values (samples, ...) by output name, of what the page sent.

    told: {"dtype", "shape"} of one sample of each, in the signature's order.
    """
    import numpy as np

    found = {}
    for spec, file, each in zip(order.signature.outputs, order.taken.values(), told, strict=True):
        shape = (order.said["samples"], *each["shape"][1:])
        found[spec.name] = np.fromfile(file, np.dtype(each["dtype"])).reshape(shape)
    return found
