"""What an OpenVINO file sees before it decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.runtimes.last_layer import Watch, nearest, over_places

if TYPE_CHECKING:
    from edgedistill.runtimes import Array


def watch(path: Path) -> Watch | None:
    """What enters the last layer with weights; None where that reads the pixels themselves, or
    there is none."""
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

    last = nearest(
        before(model.outputs[0].get_node()), weighted, before, lambda node: node.get_name()
    )
    if last is None or before(last)[0].get_type_name() == "Parameter":
        return None
    model.add_outputs([last.input_value(0)])
    request = _compile(model, 1, True).create_infer_request()
    convolution = last.get_type_name() == "Convolution"

    def run(native: Array) -> tuple[Array, Array]:
        found = request.infer([native])
        return found[0].copy(), over_places(found[1], convolution)

    return run
