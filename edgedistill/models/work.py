"""What one inference multiplies: every convolution and matrix product of the model's graph.

The rule, the same in the report, in contracts and in pruning: counted are the multiply-accumulates
of convolutions (of any dimension, grouped, transposed), linear layers, the matrices of recurrent
layers, and products of two activations. So both products of attention count, queries by keys and
weights by values: ViT-B/16 at 224 pixels takes 17.6 G, and 16.8 G where somebody leaves those two
out. Additions, norms and activations do not count. A block that is called three times counts three
times; its parameters count once.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgedistill.target import Kernel

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import GraphModule, Node


@dataclass(frozen=True)
class Product:
    """`groups` products side by side, each of (positions, kernel x inputs) by
    (kernel x inputs, outputs)."""

    groups: int
    outputs: int
    """Output channels of each group."""
    inputs: int
    """Input channels of each group."""
    kernel: int
    """Elements of a convolution's kernel; 1 for matrices."""
    positions: int
    weight: str = ""
    """Name of the parameter it multiplies with; none for a product of two activations."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.groups * self.outputs * self.inputs * self.kernel * self.positions

    def padded(self, kernel: Kernel) -> int:
        """Multiply-accumulates as such kernels compute them, channels up to whole tiles.

        A depthwise convolution has kernels of its own, for some sizes; beyond the largest it is
        computed as so many convolutions of one channel, as XNNPACK does.
        """
        sizes = [size for size in kernel.depthwise_sizes if size >= self.kernel]
        if self.groups > 1 and self.inputs == 1 and sizes:
            channels = _up(self.groups * self.outputs, kernel.depthwise)
            return channels * min(sizes) * self.positions
        outputs = _up(self.outputs, kernel.output_channels)
        inputs = _up(self.inputs, kernel.input_channels)
        return replace(self, outputs=outputs, inputs=inputs).macs


def _up(count: int, tile: int) -> int:
    return -(-count // tile) * tile


def padded_macs(products: Iterable[Product], kernel: Kernel) -> int:
    """Multiply-accumulates of one inference as such kernels compute them; see `Product.padded`."""
    return sum(each.padded(kernel) for each in products)


def listed(found: Iterable[Product]) -> list[list[int]]:
    """Products as JSON, without their names: [how many, groups, outputs, inputs, kernel,
    positions]."""
    alike = Counter(
        (each.groups, each.outputs, each.inputs, each.kernel, each.positions) for each in found
    )
    return [[times, *sizes] for sizes, times in alike.items()]


def padded_of(rows: Iterable[Sequence[int]], kernel: Kernel) -> int:
    """Padded multiply-accumulates of what `listed` gave."""
    return sum(
        times * Product(groups, outputs, inputs, size, positions).padded(kernel)
        for times, groups, outputs, inputs, size, positions in rows
    )


def products(module: nn.Module, *example: Tensor) -> list[Product]:
    """Every product of one inference on `example`, the model's inputs for one sample."""
    return list(products_of(*traced(module, *example)))


def traced(module: nn.Module, *example: Tensor) -> tuple[GraphModule, dict[str, str]]:
    """The operators of one inference on `example`, and by node the parameter that it stands for."""
    import torch

    training = module.training
    # The fused attention kernel would be one operator that tells nothing of its products.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        graph = _graph(module.eval(), *example)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        module.train(training)
    known = {id(parameter): name for name, parameter in module.named_parameters()}
    names = {
        node.name: known.get(id(getattr(graph, node.target)), "")
        for node in graph.graph.nodes
        if node.op == "get_attr"
    }
    return graph, names


def _graph(module: nn.Module, *example: Tensor) -> GraphModule:
    """The operators of one inference, those that torch.export would list: but also for a model that
    it does not take, as for a teacher that branches on values."""
    import torch
    from torch._guards import TracingContext, tracing
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    # Where there is none, make_fx makes a mode anew for every value: half of its time.
    shapes = tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True)))
    with warnings.catch_warnings(), torch.no_grad(), shapes:
        warnings.simplefilter("ignore")
        traced = make_fx(module, pre_dispatch=True, _error_on_data_dependent_ops=False)
        return traced(*example)


def products_of(
    graph: GraphModule, names: dict[str, str], only: Node | None = None
) -> Iterator[Product]:
    """Every product of a graph, or of one of its nodes; `names`: the parameter that a node stands
    for, none for a constant."""
    for node in graph.graph.nodes if only is None else [only]:
        if node.op != "call_function":
            continue
        for part in node.all_input_nodes:  # a region without gradients, say, is a graph of its own
            inner: Any = getattr(graph, str(part.target), None)
            if part.op == "get_attr" and hasattr(inner, "graph"):
                yield from products_of(inner, {})
        base, _, _ = str(node.target).removeprefix("aten.").partition(".")
        rule = _RULES.get(base.removesuffix("_"))
        if rule is not None:
            yield from rule(node, names)


def shape_of(node: Any) -> tuple[int, ...]:
    """Of the tensor that a traced node gives."""
    return tuple(int(size) for size in node.meta["val"].shape)


def _name(node: Any, names: dict[str, str]) -> str:
    """The one parameter that `node` is, or is computed from and from nothing else."""
    found: set[str] = set()
    waiting, seen = [node], {node}
    while waiting:
        each = waiting.pop()
        if names.get(each.name):
            found.add(names[each.name])
        elif each.op == "placeholder" and each.name not in names:
            return ""
        new = [one for one in each.all_input_nodes if one not in seen]
        seen.update(new)
        waiting += new
    return found.pop() if len(found) == 1 else ""


def _argument(node: Node, place: int, key: str, default: Any) -> Any:
    if key in node.kwargs:
        return node.kwargs[key]
    return node.args[place] if len(node.args) > place else default


def _convolution(node: Node, names: dict[str, str]) -> Iterator[Product]:
    generic, transposed = "convolution." in str(node.target), "transpose" in str(node.target)
    if generic:
        transposed = bool(node.args[6])
    groups = _argument(node, 8 if generic else 6, "groups", 1)
    pixels, (first, second, *kernel) = shape_of(node.args[0]), shape_of(node.args[1])
    outputs, inputs = (second, first // groups) if transposed else (first // groups, second)
    # A transposed convolution uses each weight once for each position that it reads.
    grid = pixels if transposed else shape_of(node)
    batch = grid[0] if len(grid) == len(kernel) + 2 else 1
    positions = batch * math.prod(grid[-len(kernel) :])
    yield Product(groups, outputs, inputs, math.prod(kernel), positions,
                  _name(node.args[1], names))  # fmt: skip


def _linear(node: Node, names: dict[str, str]) -> Iterator[Product]:
    x, (outputs, inputs) = shape_of(node.args[0]), shape_of(node.args[1])
    yield Product(1, outputs, inputs, 1, math.prod(x[:-1]), _name(node.args[1], names))


def _matmul(first: int) -> Callable[[Node, dict[str, str]], Iterator[Product]]:
    """For operators whose arguments `first` and the next are multiplied."""

    def rule(node: Node, names: dict[str, str]) -> Iterator[Product]:
        left, right = node.args[first : first + 2]
        a, b = shape_of(left), shape_of(right)
        rows, columns = (a[-2] if len(a) > 1 else 1), (b[-1] if len(b) > 1 else 1)
        weight = _name(right, names) or _name(left, names)
        # `(..., n, k) @ (k, m)` is one product of all rows.
        if len(b) <= 2:
            yield Product(1, columns, a[-1], 1, math.prod(a[:-1]), weight)
        else:
            batch = math.prod(_broadcast(a[:-2], b[:-2]))
            yield Product(batch, columns, a[-1], 1, rows, weight)

    return rule


def _broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    import torch

    return tuple(torch.broadcast_shapes(first, second))  # type: ignore[no-untyped-call]


def _attention(node: Node, _: dict[str, str]) -> Iterator[Product]:
    """Queries (..., n, d) by keys (..., m, d), then weights (..., n, m) by values (..., m, e)."""
    query, key, worth = (shape_of(each) for each in node.args[:3])
    batch = math.prod(query[:-2])
    yield Product(batch, key[-2], query[-1], 1, query[-2])
    yield Product(batch, worth[-1], key[-2], 1, query[-2])


def _recurrent(node: Node, names: dict[str, str]) -> Iterator[Product]:
    """Every matrix of a recurrent layer, or of one step of it, once for each step."""
    steps = math.prod(shape_of(node.args[0])[:-1])
    packed = str(node.target).endswith(".data")
    cell = "_cell" in str(node.target)
    given: Any = node.args[2:4] if cell else node.args[3 if packed else 2]
    for weight in given:
        if len(shape := shape_of(weight)) == 2:
            yield Product(1, shape[0], shape[1], 1, steps, _name(weight, names))


def _bilinear(node: Node, names: dict[str, str]) -> Iterator[Product]:
    x, weight = shape_of(node.args[0]), shape_of(node.args[2])
    yield Product(1, weight[0], weight[1] * weight[2], 1, math.prod(x[:-1]),
                  _name(node.args[2], names))  # fmt: skip


def _composed(node: Node, _: dict[str, str]) -> Iterator[Product]:
    """An operator that is made of other products, as einsum: those count."""
    import torch
    from torch.fx import map_arg
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.utils._pytree import tree_flatten, tree_unflatten

    values = map_arg((node.args, node.kwargs), lambda each: torch.empty(shape_of(each)))
    flat, spec = tree_flatten(values)
    places = [at for at, each in enumerate(flat) if isinstance(each, torch.Tensor)]

    def run(*tensors: Tensor) -> Any:
        for at, tensor in zip(places, tensors, strict=True):
            flat[at] = tensor
        args, kwargs = tree_unflatten(flat, spec)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    inner = make_fx(run, tracing_mode="fake")(*(flat[at] for at in places))
    yield from products_of(inner, {})


_RULES: dict[str, Callable[[Node, dict[str, str]], Iterator[Product]]] = {
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "convolution", "_convolution", "conv_transpose1d",
         "conv_transpose2d", "conv_transpose3d"), _convolution
    ),
    "linear": _linear,
    **dict.fromkeys(("matmul", "linalg_matmul", "mm", "bmm", "mv", "dot", "vdot"), _matmul(0)),
    **dict.fromkeys(("addmm", "addmv", "baddbmm", "addbmm"), _matmul(1)),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"), _attention
    ),
    **dict.fromkeys(
        ("gru", "lstm", "rnn_tanh", "rnn_relu", "gru_cell", "lstm_cell", "rnn_tanh_cell",
         "rnn_relu_cell"), _recurrent
    ),
    "bilinear": _bilinear,
    **dict.fromkeys(
        ("einsum", "tensordot", "inner", "linalg_multi_dot", "chain_matmul"), _composed
    ),
}  # fmt: skip
