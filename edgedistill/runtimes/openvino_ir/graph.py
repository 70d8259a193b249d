"""What an OpenVINO graph computes in integers, and edits that keep it so."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, TypedDict

_WEIGHTED = {"Convolution", "GroupConvolution", "MatMul"}
_ACTIVATIONS = {"Relu", "Clamp", "PRelu"}
_DEQUANTIZES = {"Convert", "Subtract", "Multiply"}
_BESIDE = {"Parameter", "Constant", "Result", "FakeQuantize", *_DEQUANTIZES}


def keep_rounding(model: Any) -> None:
    """Put a PRelu of slope 1, which changes nothing, before a FakeQuantize between a convolution
    and a sum.

    The CPU plugin fuses convolution, FakeQuantize, sum and FakeQuantize into one kernel that leaves
    out the rounding of the first FakeQuantize where that is the first thing fused: a deep network
    drifts by several steps. Behind another operator it rounds.
    """
    import numpy as np
    from openvino import opset13

    for node in model.get_ordered_ops():
        sources = [value.get_node() for value in node.input_values()]
        if node.get_type_name() != "Add" or not all(map(is_quantizer, sources)):
            continue
        for source in sources:
            computed = source.input_value(0)
            if len(_users(source)) == 1 and _is_weighted(computed.get_node()):
                same = opset13.prelu(computed, opset13.constant(np.ones(1, np.float32)))
                same.friendly_name = f"{source.friendly_name}_fused"
                source.input(0).replace_source_output(same.output(0))


def quantize_inputs(model: Any) -> None:
    """Put a FakeQuantize of the range that they have anyhow behind integers that come from outside.

    The CPU plugin sees by it that the layer which reads them can compute in integers. Without it
    that layer computes in float, and where the plugin may use bfloat16, the file does not compile.
    """
    import numpy as np
    from openvino import opset13

    for value in model.inputs:
        if value.element_type.get_type_name() not in ("i8", "u8"):
            continue
        found = _dequantized(value)
        if found is None:
            continue
        scale, zero, last = found
        bounds = np.iinfo(value.element_type.to_dtype())
        ends = [
            opset13.constant(np.float32(end - zero) * np.float32(scale))
            for end in (bounds.min, bounds.max)
        ]
        targets = list(last.output(0).get_target_inputs())
        quantized = opset13.fake_quantize(last, *ends, *ends, 256)
        for target in targets:
            target.replace_source_output(quantized.output(0))


def _dequantized(value: Any) -> tuple[float, float, Any] | None:
    """Scale, zero point, and the Multiply where integers from outside are real numbers; None where
    they are not made real at once."""
    node, zero = value.get_node(), 0.0
    while len(users := _users(node)) == 1 and users[0].get_type_name() in _DEQUANTIZES:
        node = users[0]
        if node.get_type_name() == "Subtract":
            zero = _number(node.input_value(1))
        elif node.get_type_name() == "Multiply":
            return _number(node.input_value(1)), zero, node
    return None


def _number(value: Any) -> float:
    """What a constant holds, as it is or converted."""
    import numpy as np

    node = value.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return float(np.asarray(node.data).item())


def name_by_place(model: Any) -> None:
    """Number the nodes that OpenVINO numbered itself: it counts on through a whole process, and
    the same program should give the same bytes."""
    for place, node in enumerate(model.get_ordered_ops()):
        if re.fullmatch(r"[A-Z]\w*_\d+", node.friendly_name):
            node.friendly_name = f"{node.get_type_name()}_{place}"


def _is_weighted(node: Any) -> bool:
    if node.get_type_name() == "Add":
        node = node.input_value(0).get_node()
    return node.get_type_name() in _WEIGHTED


class Written(TypedDict):
    """See `records.Look`."""

    operators: dict[str, int]
    inner_pairs: int
    transposes: int


def inspect(model: Any) -> Written:
    """What of `Runtime.inspect` the file itself says."""
    graph = _Graph(model)
    kinds = Counter(node.get_type_name() for node in graph.nodes)
    islands = [node for node in graph.nodes if graph.is_float(node)]
    return {
        "operators": dict(kinds),
        "inner_pairs": sum(is_quantizer(user) for node in islands for user in _users(node)),
        "transposes": kinds["Transpose"],
    }


_FLOATS = ("f32", "f16", "bf16")
_NOTHING_COMPUTED = {"Input", "Output", "Const", "Reorder", "Convert"}


def executed(model: Any, compiled: Any) -> list[tuple[str, str, bool]]:
    """(type, name, whether it computes in float) of each operator of `model` as it was compiled:
    the kernel that runs one ends in the kind of numbers it reads. What is generated for several
    operators is called after their types."""
    kinds = {node.friendly_name: node.get_type_name() for node in model.get_ordered_ops()}
    rows = []
    stored: set[str] = set()
    for node in compiled.get_ordered_ops():
        about = {key: _text(value) for key, value in node.get_rt_info().items()}
        kind, kernel = about["layerType"], about["primitiveType"].lower()
        sources = {value.get_node().get_name() for value in node.input_values()}
        if kind == "Subgraph":
            joined = (
                kinds.get(name, "Convert") for name in about["originalLayersNames"].split(",")
            )
            kind = "+".join(each for each in joined if each not in _BESIDE) or "Convert"
        if kind != "Input" and sources <= stored:
            stored.add(node.get_name())
        elif kind not in _NOTHING_COMPUTED:
            rows.append((kind, node.friendly_name, kernel.rpartition("_")[2] in _FLOATS))
    return rows


def _text(value: Any) -> str:
    return str(value.astype(str)) if hasattr(value, "astype") else str(value)


class _Graph:
    """An IR's nodes. One is computed in integers where FakeQuantize (or the integers of the
    input) feeds it and FakeQuantize takes what it gives."""

    def __init__(self, model: Any) -> None:
        self.nodes = model.get_ordered_ops()
        self._constants: set[str] = set()
        for node in self.nodes:
            if node.get_type_name() != "Parameter" and not self._sources(node):
                self._constants.add(node.get_name())

    def _sources(self, node: Any) -> list[Any]:
        """Nodes whose results `node` reads and that are not constants."""
        found = [value.get_node() for value in node.input_values()]
        return [each for each in found if each.get_name() not in self._constants]

    def is_float(self, node: Any) -> bool:
        if node.get_type_name() in _BESIDE or node.get_name() in self._constants:
            return False
        if node.get_type_name() in _WEIGHTED and self._has_float_weight(node):
            return True
        reads = all(
            is_quantizer(each) or self._joins(each, node) or self._is_integer_input(each)
            for each in self._sources(node)
        )
        writes = all(is_quantizer(each) or self._joins(node, each) for each in _users(node))
        return not (reads and writes)

    def _has_float_weight(self, node: Any) -> bool:
        weight = node.input_value(1).get_node()
        while weight.get_type_name() != "Constant" and weight.get_name() in self._constants:
            weight = weight.input_value(0).get_node()
        is_stored = weight.get_type_name() == "Constant"
        return bool(is_stored and weight.output(0).element_type.is_real())

    def _joins(self, first: Any, second: Any) -> bool:
        """Whether `second`, a bias or activation, is computed in `first`, which it alone reads."""
        kind = second.get_type_name()
        alone = len(_users(first)) == 1
        return alone and (
            kind in _ACTIVATIONS or (kind == "Add" and len(self._sources(second)) == 1)
        )

    def _is_integer_input(self, node: Any) -> bool:
        while node.get_type_name() in _DEQUANTIZES:
            node = self._sources(node)[0]
        is_input = node.get_type_name() == "Parameter"
        return bool(is_input and not node.output(0).element_type.is_real())


def is_quantizer(node: Any) -> bool:
    """Whether a node is a `FakeQuantize`, OpenVINO's operator that rounds to a scale."""
    return bool(node.get_type_name() == "FakeQuantize")


def _users(node: Any) -> list[Any]:
    return [target.get_node() for target in node.output(0).get_target_inputs()]
