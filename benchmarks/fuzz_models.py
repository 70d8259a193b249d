"""Model files that are well formed, and odd: for the fuzzer."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as some

NUMBERS = [-(2**31), -1, 0, 1, 2, 3, 7, 127, 255, 2**31 - 1]
FLOATS = [-1.0, 0.0, 1e-30, 1e30, float("nan"), float("inf")]


def edited(suffix: str, valid: list[bytes]) -> some.SearchStrategy[bytes]:
    """A file with a few of its fields set to other values, and written well-formed again."""
    edit = {".tflite": _edit_tflite, ".onnx": _edit_onnx}[suffix]

    @some.composite
    def changed(draw: Any) -> bytes:
        content = draw(some.sampled_from(valid))
        try:
            return edit(content, draw)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError):
            return content  # the writer does not take such a value

    return changed()


def _edit_tflite(content: bytes, draw: Any) -> bytes:
    import flatbuffers
    from ai_edge_litert.tools.flatbuffer_utils import read_model_from_bytearray

    model = read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    for _ in range(draw(some.integers(1, 3))):
        kinds = [graph.operators, graph.tensors, model.operatorCodes]
        item = draw(some.sampled_from(draw(some.sampled_from(kinds))))
        holders = [item, getattr(item, "builtinOptions", None), getattr(item, "quantization", None)]
        holder = draw(some.sampled_from([each for each in holders if each is not None]))
        name = draw(some.sampled_from(sorted(vars(holder))))
        setattr(holder, name, _other(getattr(holder, name), draw))
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _other(value: Any, draw: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw(some.sampled_from(NUMBERS))
    if value is None or not hasattr(value, "__len__") or isinstance(value, bytes | str):
        return None
    values = [draw(some.sampled_from(NUMBERS)) if isinstance(each, int) else
              draw(some.sampled_from(FLOATS)) for each in map(_plain, value)]  # fmt: skip
    return values[: draw(some.integers(0, len(values) + 1))]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _edit_onnx(content: bytes, draw: Any) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    graph = model.graph
    for _ in range(draw(some.integers(1, 3))):
        what = draw(some.sampled_from(["node", "attribute", "dims", "raw", "name", "shape"]))
        node = draw(some.sampled_from(list(graph.node)))
        tensor = draw(some.sampled_from(list(graph.initializer)))
        if what == "node":
            node.op_type = draw(some.sampled_from(["Loop", "If", "Reshape", "Gather", "Nothing"]))
        elif what == "attribute" and node.attribute:
            attribute = draw(some.sampled_from(list(node.attribute)))
            attribute.i = draw(some.sampled_from(NUMBERS))
            attribute.ints[:] = [draw(some.sampled_from(NUMBERS)) for _ in attribute.ints]
        elif what == "dims":
            tensor.dims[:] = [draw(some.sampled_from([-1, 0, 1, 3, 2**40])) for _ in tensor.dims]
        elif what == "raw":
            tensor.raw_data = tensor.raw_data[: draw(some.integers(0, 8))]
        elif what == "name":
            node.input[0] = draw(some.sampled_from(["", "none", node.output[0]]))
        else:
            dims = graph.input[0].type.tensor_type.shape.dim
            draw(some.sampled_from(list(dims))).dim_value = draw(some.sampled_from(NUMBERS))
    return bytes(model.SerializeToString())
