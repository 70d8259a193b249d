"""What an ONNX graph does only because of how it was exported: turns of turns, and linear layers
over tokens as a product and a sum in float."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Q, DQ = "QuantizeLinear", "DequantizeLinear"


def clean_up(graph: Any) -> None:
    """Rewrite a graph in place. It gives what it gave: rows of a product are joined, and values are
    moved once that were moved twice."""
    _gemm_over_tokens(graph)
    while _merge_transposes(graph):
        pass
    _drop_unread(graph)


class Look:
    """Who makes and who reads the tensors of a graph, as it is now."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.stored = {each.name: each for each in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}
        self.given = {each.name for each in graph.output}
        self._readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def reader(self, name: str, kind: str) -> Any | None:
        """The only operator that reads a tensor which is none of the graph's outputs, if it is of
        that kind."""
        found = self._readers.get(name, [])
        alone = len(found) == 1 and name not in self.given
        return found[0] if alone and found[0].op_type == kind else None

    def maker(self, name: str, kind: str) -> Any | None:
        """The operator that makes a tensor, if it is of that kind."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type == kind else None

    def constant(self, name: str) -> np.ndarray[Any, Any] | None:
        """A stored tensor's values."""
        import onnx

        found = self.stored.get(name)
        return None if found is None else onnx.numpy_helper.to_array(found)


def _drop_unread(graph: Any) -> None:
    """Take out what computes for nobody."""
    read = {each.name for each in graph.output}
    for node in reversed(list(graph.node)):
        if read.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            read.update(node.input)


def _merge_transposes(graph: Any) -> bool:
    """One Transpose for two, also where integers are between them: before these it is."""
    look = Look(graph)
    for first in graph.node:
        if first.op_type != "Transpose":
            continue
        name, pair = first.output[0], []
        quantize = look.reader(name, Q)
        if quantize is not None:
            dequantize = look.reader(quantize.output[0], DQ)
            if dequantize is None or not _is_of_one_scale(look, quantize):
                continue
            name, pair = dequantize.output[0], [quantize, dequantize]
        second = look.reader(name, "Transpose")
        if second is None:
            continue
        one, two = _order(first), _order(second)
        del first.attribute[:]
        first.attribute.append(_ints("perm", [one[axis] for axis in two]))
        if pair:
            # Its values lie otherwise than the program's, so that its name must not say so.
            quantize, dequantize = pair
            quantize.output[0] = dequantize.input[0] = f"{quantize.output[0]}_turned"
            dequantize.output[0] = second.output[0]
        else:
            first.output[0] = second.output[0]
        graph.node.remove(second)
        return True
    return False


def _order(transpose: Any) -> list[int]:
    return [int(axis) for each in transpose.attribute if each.name == "perm" for axis in each.ints]


def _ints(name: str, values: list[int]) -> Any:
    import onnx

    return onnx.helper.make_attribute(name, values)


def _is_of_one_scale(look: Look, quantize: Any) -> bool:
    scale = look.constant(quantize.input[1])
    return scale is not None and scale.size == 1


def _gemm_over_tokens(graph: Any) -> None:
    """A linear layer over (batch, tokens, channels) as one Gemm over their rows: as a MatMul and an
    Add, ONNX Runtime adds the bias in float, also between integers."""
    shapes = dict(_shapes(graph))
    for product in [node for node in graph.node if node.op_type == "MatMul"]:
        look = Look(graph)
        layer = _Linear.of(look, product, shapes)
        if layer is not None:
            layer.rewrite(graph, look)


def _shapes(graph: Any) -> Iterator[tuple[str, list[int | None]]]:
    for value in (*graph.value_info, *graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        yield value.name, [each.dim_value if each.HasField("dim_value") else None for each in dims]


class _Linear:
    """A MatMul with stored weights, and the Add that gives it its bias."""

    def __init__(self, product: Any, add: Any, sizes: list[int], bias: str) -> None:
        self.product, self.add, self.bias = product, add, bias
        self.sizes = sizes
        """Of the axes behind the batch, the channels last."""
        self.weights, self.turned = product.input[1], False
        self.clamp: Any = None
        """The Relu that is computed within it, in a graph of integers."""
        self.fed: Any = None
        """The DequantizeLinear that it reads, in a graph of integers."""
        self.told: Any = None
        """And the QuantizeLinear that reads what it gives."""

    @classmethod
    def of(cls, look: Look, product: Any, shapes: dict[str, list[int | None]]) -> _Linear | None:
        """None where an operator is no such layer, or one that stays in float between integers."""
        _, *sizes = shapes.get(product.input[0]) or [None]
        add = look.reader(product.output[0], "Add")
        if len(sizes) < 2 or None in sizes or add is None:
            return None
        bias = next(name for name in add.input if name != product.output[0])
        value = look.constant(bias)
        if value is None or value.ndim != 1:
            return None
        found = cls(product, add, [int(size) for size in sizes if size], bias)
        return found if found._takes_weights(look) and found._takes_integers(look) else None

    def _takes_weights(self, look: Look) -> bool:
        """Stored ones, in integers behind a DequantizeLinear, and turned where the exporter turned
        them."""
        turn = look.maker(self.weights, "Transpose")
        if turn is not None and _order(turn) == [1, 0]:
            self.weights, self.turned = turn.input[0], True
        unpack = look.maker(self.weights, DQ)
        stored = look.constant(unpack.input[0] if unpack is not None else self.weights)
        return stored is not None and stored.ndim == 2

    def _takes_integers(self, look: Look) -> bool:
        """Whether it is computed in integers, or all in float."""
        fed = look.maker(self.product.input[0], DQ)
        if fed is None:
            return look.maker(self.weights, DQ) is None
        self.clamp = look.reader(self.add.output[0], "Relu")
        last = self.add if self.clamp is None else self.clamp
        self.fed, self.told = fed, look.reader(last.output[0], Q)
        return self.told is not None and _is_of_one_scale(look, self.told)

    def rewrite(self, graph: Any, look: Look) -> None:
        """A Reshape, a Gemm and a Reshape in its place."""
        import onnx

        replaced = [each for each in (self.product, self.add, self.clamp) if each is not None]
        stem, answer = self.product.output[0], replaced[-1].output[0]
        node = onnx.helper.make_node
        channels = len(look.constant(self.bias))  # type: ignore[arg-type]
        rows = self._store(graph, f"{stem}_rows", [-1, self.sizes[-1]])
        back = self._store(graph, f"{stem}_back", [-1, *self.sizes[:-1], channels])
        flat, sums = f"{stem}_flat", f"{stem}_sums"
        made = [node("Reshape", [self.product.input[0], rows], [flat])]
        made += self._rounded(flat, self.fed)
        made.append(
            node("Gemm", [_last(made), self.weights, self.bias], [sums], transB=int(self.turned))
        )
        if self.clamp is not None:
            made.append(node("Relu", [sums], [f"{stem}_clamped"]))
        made += self._rounded(_last(made), self.told)
        made.append(node("Reshape", [_last(made), back], [answer]))
        place = list(graph.node).index(self.product)
        for each in replaced:
            graph.node.remove(each)
        for each in reversed(made):
            graph.node.insert(place, each)

    @staticmethod
    def _rounded(name: str, scaled: Any) -> list[Any]:
        """A tensor in integers and back, with the scale of another such operator."""
        import onnx

        if scaled is None:
            return []
        numbers, made = list(scaled.input[1:]), onnx.helper.make_node
        return [made(Q, [name, *numbers], [f"{name}_steps"]),
                made(DQ, [f"{name}_steps", *numbers], [f"{name}_real"])]  # fmt: skip

    @staticmethod
    def _store(graph: Any, name: str, sizes: list[int]) -> str:
        import onnx

        graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes, np.int64), name))
        return name


def _last(nodes: list[Any]) -> str:
    return str(nodes[-1].output[0])
