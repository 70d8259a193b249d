"""What a quantized program holds: its layers, their integers, and what stayed in float."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from edgedistill.program import (
    Program,
    export,
    forget_unread,
    graph_of,
    part_of,
    placeholders,
    results,
)

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

    from edgedistill.runtimes import Array, Floats

T = TypeVar("T")

_QUANTIZE, _DEQUANTIZE = "quantized_decomposed.quantize_", "quantized_decomposed.dequantize_"
_CLAMPS = ("aten.relu.", "aten.relu6.", "aten.hardtanh.", "aten.clamp.")
_WEIGHTED = ("aten.conv2d.", "aten.linear.")
_FOLDED = "_int8"
"""Ends the name of a weight that `fold_weights` stored as integers."""


@dataclass(frozen=True)
class Layer:
    """A tensor that the program quantizes, and the layer that computes it."""

    name: str
    """The quantize node's, as the ONNX file has it too."""
    label: str
    """For a person: the module's name where the program knows it."""
    scale: float
    zero_point: int
    shape: tuple[int, ...]
    """Of one image, without the batch."""
    readers: tuple[str, ...]
    """The dequantize nodes that read it."""
    input: int | None = None
    """The place of the program's input that it is."""
    output: int | None = None
    """The place of the program's output that it becomes."""

    def reals(self, steps: Array) -> Floats:
        """What its integers stand for, float32 of the same shape (batch, ...)."""
        return (steps.astype(np.float32) - self.zero_point) * np.float32(self.scale)

    def steps(self, reals: Array) -> Array:
        """The integers that stand for real values (batch, ...), however large: whole numbers as
        float32, not clipped."""
        counted: Array = np.rint(reals.astype(np.float32) / np.float32(self.scale))
        return counted + self.zero_point


_MADE: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def made_once(program: Program, what: str, make: Callable[[], T]) -> T:
    """What `make` makes of a program that changes no more, kept as long as that is: several files
    are renderings of one conversion, which takes far longer than the rest."""
    made = _MADE.setdefault(program, {})
    if what not in made:
        made[what] = make()
    found: T = made[what]
    return found


def is_quantize(node: Any) -> bool:
    """Whether a graph's node turns floats into integers."""
    return str(getattr(node, "target", "")).startswith(_QUANTIZE)


def is_dequantize(node: Any) -> bool:
    """Whether a graph's node turns integers into floats."""
    return str(getattr(node, "target", "")).startswith(_DEQUANTIZE)


def fold_weights(program: Program) -> Program:
    """The same program with its weights stored as integers, not quantized at run time; itself where
    none is quantized.

    torch itself rounds them, so every rendering starts from the same integers.
    """
    graph = graph_of(program)
    constants = _constants(graph)
    quantized = [node for node in graph.graph.nodes if is_quantize(node) and node in constants]
    if not quantized:
        return program
    for node in quantized:
        parent, _, last = _weight_name(node).rpartition(".")
        place = graph.get_submodule(parent)
        place.register_buffer(last + _FOLDED, _value(graph, node))
        with graph.graph.inserting_before(node):
            folded = graph.graph.get_attr(".".join(filter(None, (parent, last + _FOLDED))))
            node.replace_all_uses_with(folded)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return export(graph, program.signature)


@dataclass(frozen=True)
class StoredWeight:
    """A weight that a program stores as int8, symmetric, with a scale for each output channel."""

    name: str
    steps: Array
    """(channels, ...) int8."""
    scales: Floats
    """(channels,)"""

    def reals(self) -> Floats:
        """What it stands for, float32 (channels, ...), to the bit as torch computes it."""
        columns = self.scales.reshape(-1, *[1] * (self.steps.ndim - 1))
        return self.steps.astype(np.float32) * columns


def rounds_weights_alone(program: Program) -> bool:
    """Whether a program has integer weights, and all activations in float."""
    nodes = graph_of(program).graph.nodes
    return any(map(is_dequantize, nodes)) and not any(map(is_quantize, nodes))


def unpack_weights(program: Program, fenced: bool = False) -> tuple[Program, list[StoredWeight]]:
    """The same program with the weights of its layers as floats, of the values that its integers
    stand for, and these integers. Tables that tokens are looked up in stay as they are.

    fenced: with casts before linear layers, as `fence_floats` makes them: LiteRT's converter would
    multiply a weight by the factors of a norm before it.
    """
    import torch

    graph = graph_of(program)
    found: dict[str, StoredWeight] = {}
    for node in list(graph.graph.nodes):
        if not is_dequantize(node) or node not in _constants(graph):
            continue
        steps, scales = (_value(graph, each).numpy() for each in node.args[:2])
        stored = StoredWeight(_weight_name(node).removesuffix(_FOLDED), steps, scales)
        if stored.name not in found:
            found[stored.name] = stored
            parent, _, last = stored.name.rpartition(".")
            place = graph.get_submodule(parent)
            real = torch.nn.Parameter(torch.from_numpy(stored.reals()))
            place.register_parameter(last, real)
        with graph.graph.inserting_before(node):
            weight = graph.graph.get_attr(stored.name)
        readers = [each for each in node.users if str(each.target).startswith("aten.linear.")]
        node.replace_all_uses_with(weight)
        for reader in readers if fenced else ():
            source: Any = reader.args[0]
            reader.replace_input_with(source, _cast_twice(graph, source))
    forget_unread(graph)
    return export(graph, program.signature), list(found.values())


def _constants(graph: GraphModule) -> set[Any]:
    """The nodes that depend on weights alone."""
    found: set[Any] = set()
    for node in graph.graph.nodes:
        inputs = node.all_input_nodes
        computed = node.op == "call_function" and inputs and found.issuperset(inputs)
        if node.op == "get_attr" or computed:
            found.add(node)
    return found


def _value(graph: GraphModule, node: Any) -> Any:
    import torch

    if not isinstance(node, torch.fx.Node):
        return node
    if node.op == "get_attr":
        value: Any = graph
        for part in str(node.target).split("."):
            value = getattr(value, part)
        return value
    with torch.no_grad():
        return node.target(  # type: ignore[operator]
            *(_value(graph, each) for each in node.args),
            **{key: _value(graph, each) for key, each in node.kwargs.items()},
        )


def layers(program: Program) -> list[Layer]:
    """The quantized activations in the order they are computed, the pixels first."""
    found = []
    labels: Counter[str] = Counter()
    graph = graph_of(program)
    constants = _constants(graph)
    taken = {node: place for place, node in enumerate(placeholders(graph))}
    given = {node: place for place, node in enumerate(results(graph))}
    for node in graph.graph.nodes:
        if is_quantize(node) and node not in constants:
            scale, zero_point = node.args[1], node.args[2]
            label = _label(node)
            labels[label] += 1
            if labels[label] > 1:
                label += f" ({labels[label]})"
            shape = tuple(int(size) for size in node.meta["val"].shape[1:])
            found.append(
                Layer(
                    node.name, label, float(scale), int(zero_point), shape,
                    tuple(user.name for user in node.users if is_dequantize(user)),
                    taken.get(node.args[0]),
                    next((given[user] for user in node.users if user in given), None),
                )
            )  # fmt: skip
    return found


def output_scales(program: Program) -> list[float | None]:
    """The scale of each output; None where the last layer gives floats."""
    return [
        float(node.args[1]) if is_dequantize(node) else None  # type: ignore[arg-type]
        for node in results(graph_of(program))
    ]


def output_scale(program: Program) -> float | None:
    """The scale of the output that a task judges."""
    return output_scales(program)[program.signature.answer]


def _label(quantize: Node) -> str:
    node: Any = quantize.args[0]
    while str(node.target).startswith(_CLAMPS):
        node = node.args[0]
    return _layer_name(node)


def _layer_name(node: Any) -> str:
    if str(node.target).startswith(_WEIGHTED):
        return _weight_name(node.args[1]).removesuffix(_FOLDED).removesuffix(".weight")
    return str(node.name)


def _weight_name(node: Any) -> str:
    """Of the stored tensor at the beginning of a chain of quantize and dequantize nodes."""
    while node.op == "call_function":
        node = node.args[0]
    return str(node.target)


def record(program: Program, *inputs: Array) -> dict[str, Array]:
    """What each quantized activation is for `inputs`, (batch, ...) each: int8 (batch, ...), by the
    name of its layer."""
    import torch

    kept: dict[str, Array] = {}
    wanted = {layer.name for layer in layers(program)}

    class Recorder(torch.fx.Interpreter):
        def run_node(self, node: Node) -> Any:
            value = super().run_node(node)
            if node.name in wanted:
                kept[node.name] = value.numpy().astype(np.int8)
            return value

    with torch.no_grad():
        Recorder(graph_of(program)).run(*map(torch.from_numpy, inputs))
    return kept


def float_layers(program: Program, kept: Collection[str] = ()) -> list[str]:
    """Operators of a quantized program that are computed in float, layers by their module's name:
    those that read something no dequantize node gave, weights included, or whose result no
    quantize node takes. Of a part that was `kept` in float as a whole, that part alone is named."""
    graph = graph_of(program)
    constants = _constants(graph)
    nodes = (node for node in graph.graph.nodes if node not in constants)
    in_float = (node for node in nodes if _is_float(node, constants))
    return list(dict.fromkeys(part_of(node, kept) or _layer_name(node) for node in in_float))


def fence_floats(graph: GraphModule) -> None:
    """Put a cast to float16 and back between quantized values and the layers with float weights.

    LiteRT's converter would quantize such a layer by itself where its neighbours are quantized. It
    looks through no cast, and folds one to a wider type.
    """
    for node in list(graph.graph.nodes):
        if not str(node.target).startswith(_WEIGHTED) or is_dequantize(node.args[1]):
            continue
        source: Any = node.args[0]
        if is_dequantize(source):
            node.replace_input_with(source, _cast_twice(graph, source))
        last = next((user for user in node.users if _joins(node, user)), node)
        for user in list(last.users):
            if is_quantize(user):
                user.replace_input_with(last, _cast_twice(graph, last))
    graph.recompile()


def _cast_twice(graph: GraphModule, value: Node) -> Node:
    import torch

    cast: Any = torch.ops.aten._to_copy.default
    with graph.graph.inserting_after(value):
        half = graph.graph.call_function(cast, (value,), {"dtype": torch.float16})
    with graph.graph.inserting_after(half):
        return graph.graph.call_function(cast, (half,), {"dtype": torch.float32})


def _is_float(node: Node, constants: set[Any]) -> bool:
    name = str(node.target)
    if node.op != "call_function" or not name.startswith("aten."):
        return False
    if name.startswith(("aten.sym_", "aten._assert")):
        return False
    sources = [each for each in node.all_input_nodes if each not in constants]
    sources = [each for each in sources if not str(each.target).startswith("aten.sym_")]
    if name.startswith(_WEIGHTED) and not is_dequantize(node.args[1]):
        return True
    reads = all(is_dequantize(each) or _joins(each, node) for each in sources)
    users = list(node.users)
    writes = all(is_quantize(user) or _joins(node, user) for user in users)
    return not (reads and writes)


def _joins(node: Node, clamp: Node) -> bool:
    """Whether `clamp` is computed within `node`, which it alone reads."""
    return str(clamp.target).startswith(_CLAMPS) and list(node.users) == [clamp]
