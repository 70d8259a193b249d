"""What a model file sees in an image before it decides: the values that enter its last layer with
weights, in all three runtimes. A file's own tensor is made one more output of it, in memory.

A tensor is looked for from the output backwards: order within a file says little.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.native import to_native, to_real

if TYPE_CHECKING:
    from edgedistill.runtimes import Array, Floats

Both = Callable[["Floats"], tuple["Floats", "Floats"]]
"""From pixels (batch, channels, height, width) in 0..1 to logits (batch, classes) and features
(batch, dimensions), the mean over all places where a layer has several."""
_Node = TypeVar("_Node")


def load(path: Path, runtime: str) -> Both | None:
    """None: the file has no layer with weights, or it reads the pixels themselves; or it takes more
    than one input.

    Raises UserError as `Runtime.load` does.
    """
    opened = RUNTIMES[runtime].load(path)
    signature = opened.signature
    run = _OPENERS[runtime](path) if len(signature.inputs) == 1 else None
    if run is None:
        return None
    (taken,), given = signature.inputs, signature.outputs[signature.answer]

    def both(pixels: Floats) -> tuple[Floats, Floats]:
        native = to_native(pixels, taken)
        size = taken.shape[0] or len(native)
        parts = [run(native[start : start + size]) for start in range(0, len(native), size)]
        logits, features = (np.concatenate(each) for each in zip(*parts, strict=True))
        return to_real(logits, given).astype(np.float32, copy=False), features.astype(np.float32)

    return both


_Run = Callable[["Array"], tuple["Array", "Array"]]


def _litert(path: Path) -> _Run | None:
    from edgedistill.runtimes.litert import interpreter
    from edgedistill.runtimes.tflite.file import File

    file = File.read(path)
    weighted = ("FULLY_CONNECTED", "CONV_2D")
    last = _nearest(
        [file.producer(file.graph.outputs[0])],
        lambda each: file.kind(each) in weighted,
        lambda each: [file.producer(index) for index in each.inputs],
        id,
    )
    if last is None or last.inputs[0] in file.graph.inputs:
        return None
    file.graph.outputs = [file.graph.outputs[0], last.inputs[0]]
    runner = interpreter(file.pack(), 1, optimize=True)
    pixels, (logits, features) = runner.get_input_details()[0], runner.get_output_details()
    scale, zero = features["quantization"] if features["dtype"] != np.float32 else (1.0, 0)

    def run(native: Array) -> tuple[Array, Array]:
        runner.set_tensor(pixels["index"], native)
        runner.invoke()
        found = scale * (runner.get_tensor(features["index"]).astype(np.float32) - zero)
        places = found.reshape(-1, found.shape[-1])
        return runner.get_tensor(logits["index"]), places.mean(axis=0, keepdims=True)

    return run


def _onnxruntime(path: Path) -> _Run | None:
    import onnx

    from edgedistill.runtimes.onnxruntime import _session

    model = onnx.load(path)
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    stored = {each.name for each in graph.initializer}

    def constant(name: str) -> bool:
        made = makers.get(name)
        return name in stored or (made is not None and all(map(constant, made.input)))

    def weighted(node: Any) -> bool:
        return node.op_type in ("Conv", "Gemm", "MatMul") and constant(node.input[1])

    output = graph.output[0].name
    last = _nearest(
        [makers.get(output)],
        weighted,
        lambda node: [makers.get(name) for name in node.input],
        lambda node: node.output[0],
    )
    if last is None or last.input[0] not in makers:
        return None
    graph.output.append(onnx.ValueInfoProto(name=last.input[0]))
    session = _session(model.SerializeToString(), 1, True)
    pixels = session.get_inputs()[0].name

    def run(native: Array) -> tuple[Array, Array]:
        logits, features = session.run([output, last.input[0]], {pixels: native})
        return logits, _over_places(features, last.op_type == "Conv")

    return run


def _openvino(path: Path) -> _Run | None:
    from edgedistill.runtimes.openvino import _compile, _read

    model = _read(path)

    def before(node: Any) -> list[Any]:
        return [value.get_node() for value in node.input_values()]

    def constant(node: Any) -> bool:
        inner = before(node)
        return node.get_type_name() == "Constant" or (bool(inner) and all(map(constant, inner)))

    def weighted(node: Any) -> bool:
        kinds = ("Convolution", "MatMul")
        return node.get_type_name() in kinds and constant(before(node)[1])

    last = _nearest(
        before(model.outputs[0].get_node()), weighted, before, lambda node: node.get_name()
    )
    if last is None or before(last)[0].get_type_name() == "Parameter":
        return None
    model.add_outputs([last.input_value(0)])
    request = _compile(model, 1, True).create_infer_request()
    convolution = last.get_type_name() == "Convolution"

    def run(native: Array) -> tuple[Array, Array]:
        found = request.infer([native])
        return found[0].copy(), _over_places(found[1], convolution)

    return run


_OPENERS: dict[str, Callable[[Path], _Run | None]] = {
    "litert": _litert,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


def _nearest(
    start: Iterable[_Node | None],
    wanted: Callable[[_Node], bool],
    before: Callable[[_Node], Iterable[_Node | None]],
    key: Callable[[_Node], Hashable],
) -> _Node | None:
    """The operator that satisfies `wanted` in the fewest steps back; `key` tells two apart."""
    waiting, seen = list(start), set[Hashable]()
    for node in waiting:  # which grows meanwhile
        if node is None or key(node) in seen:
            continue
        if wanted(node):
            return node
        seen.add(key(node))
        waiting += before(node)
    return None


def _over_places(values: Array, convolution: bool) -> Floats:
    """(batch, channels): of a convolution's input (batch, channels, ...), or another layer's
    (batch, ..., channels)."""
    floats = values.astype(np.float32)
    if convolution:
        floats = np.moveaxis(floats, 1, -1)
    places = floats.reshape(len(floats), -1, floats.shape[-1])
    found: Floats = places.mean(axis=1)
    return found
