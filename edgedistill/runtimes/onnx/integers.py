"""The integers between an ONNX graph's layers, signed or unsigned: the same values shifted by 128.

On x86, ONNX Runtime (1.32) has integer kernels for unsigned activations alone. It makes those of
signed ones unsigned where it sees that nothing is lost, behind a Relu as a rule, and computes the
layers between both kinds in float.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgedistill.runtimes.onnx.clean_up import DQ, Q

_SHIFT = 128


def make_unsigned(graph: Any) -> bool:
    """Make the int8 activations of a graph uint8, in place: 128 more, and their zero points too, so
    that they stand for the same reals. Weights stay int8, and so do the integers that an app feeds
    and reads, which are shifted once: what an app does depends on no processor. Returns whether
    there was anything to do."""
    shifted = _Shifted(graph)
    pairs = [node for node in graph.node if shifted.holds_activations(node)]
    for node in pairs:
        node.input[2] = shifted.zero_point(node.input[2])
    for value in graph.input:
        shifted.take_in(value.name, _of(pairs, DQ, value.name))
    for value in graph.output:
        shifted.give_out(value.name, _of(pairs, Q, value.name))
    return bool(pairs)


def _of(pairs: list[Any], kind: str, name: str) -> list[Any]:
    """Who reads an int8 tensor (DQ) or makes it (Q)."""
    ends = ((node, node.input[0] if kind == DQ else node.output[0]) for node in pairs)
    return [node for node, end in ends if node.op_type == kind and end == name]


class _Shifted:
    """A graph on the way, and the zero points that it has got."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.stored = {each.name: each for each in graph.initializer}
        self._signed: dict[str, str] = {}

    def holds_activations(self, node: Any) -> bool:
        """Whether an operator makes or reads int8 that are computed, and not stored."""
        import onnx

        if node.op_type not in (Q, DQ) or len(node.input) < 3 or node.input[0] in self.stored:
            return False
        zero = self.stored.get(node.input[2])
        return zero is not None and zero.data_type == onnx.TensorProto.INT8

    def zero_point(self, name: str) -> str:
        """The stored tensor that is 128 more than that one."""
        import onnx

        made = f"{name}_unsigned"
        if made not in self.stored:
            values = onnx.numpy_helper.to_array(self.stored[name]).astype(np.int16) + _SHIFT
            self.stored[made] = onnx.numpy_helper.from_array(values.astype(np.uint8), made)
            self.graph.initializer.append(self.stored[made])
            self._signed[made] = name
        return made

    def take_in(self, name: str, readers: list[Any]) -> None:
        """What an app feeds, for those who read it: to reals, and rounded to unsigned integers."""
        import onnx

        if not readers:
            return
        _, scale, zero = readers[0].input
        made = onnx.helper.make_node
        self.graph.node.insert(0, made(Q, [f"{name}_fed", scale, zero], [f"{name}_unsigned"]))
        self.graph.node.insert(0, made(DQ, [name, scale, self._signed[zero]], [f"{name}_fed"]))
        for node in readers:
            node.input[0] = f"{name}_unsigned"

    def give_out(self, name: str, makers: list[Any]) -> None:
        """What an app reads: the unsigned integers to reals, and rounded to signed ones."""
        import onnx

        for maker in makers:
            _, scale, zero = maker.input
            for node in self.graph.node:
                node.input[:] = [f"{name}_unsigned" if it == name else it for it in node.input]
            maker.output[0] = f"{name}_unsigned"
            made = onnx.helper.make_node
            self.graph.node.extend(
                [made(DQ, [f"{name}_unsigned", scale, zero], [f"{name}_told"]),
                 made(Q, [f"{name}_told", scale, self._signed[zero]], [name])]
            )  # fmt: skip
