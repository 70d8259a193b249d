"""What an ONNX file sees before it decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.runtimes.last_layer import Watch, nearest, over_places

if TYPE_CHECKING:
    from edgedistill.runtimes import Array


def watch(path: Path) -> Watch | None:
    """What enters the last layer with weights; None where that reads the pixels themselves, or
    there is none."""
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
    last = nearest(
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
        return logits, over_places(features, last.op_type == "Conv")

    return run
