"""A target's quantization scheme as torchao's PT2E annotations: which tensor gets which scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)

from edgedistill.compress.fake_quantize import (
    ActivationFakeQuantize,
    FixedFakeQuantize,
    WeightFakeQuantize,
)
from edgedistill.compress.masks import masked
from edgedistill.compress.operators import (
    AVERAGES,
    FIXED,
    KNOWN,
    RANGED,
    SAME_SCALE,
    WEIGHTED,
    activations,
    is_clamp,
    is_fused,
    is_kept,
    is_unbounded,
    padding_value,
)
from edgedistill.program import origin, placeholders, results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch.fx import GraphModule, Node

    from edgedistill.signature import Signature
    from edgedistill.target import Scheme

Scale = tuple[float, int]
"""Scale and zero point of a tensor of 8-bit integers."""
PIXEL_SCALE, PIXEL_ZERO_POINT = 1 / 255, -128
"""Of pictures: pixels 0..1 are the integers `uint8 - 128`, exactly."""
_PICTURE = "is_picture"


class SchemeQuantizer(Quantizer):  # type: ignore[misc]
    """Give every tensor that an integer operator reads or writes one scale, at its producer.

    A ReLU that alone reads a convolution, linear layer or sum is computed within it, so the
    scale goes behind the ReLU. Operators that only move values share the scale of their inputs.
    Where an input's scale is fixed, and cannot hold what it is joined or padded with, a ReLU
    brings it to the scale of the result. Constants that are added or multiplied have a
    scale of their own. What holds infinities, as masks do, and what reads it stay in float. Both
    ends of a state share one scale: what a step gives back, the next reads as it is.
    `keep_float` names layers (see `layer_name`) and modules that stay in float. `known` are scales
    that are not for the data to say, as another program has them, by `maker` of what they are of;
    of several that are joined, the widest counts for all.
    """

    def __init__(
        self,
        scheme: Scheme,
        keep_float: tuple[str, ...],
        signature: Signature,
        known: Mapping[str, Scale] | None = None,
    ) -> None:
        super().__init__()
        self.scheme = scheme
        self.keep_float = keep_float
        self.signature = signature
        self.known = known or {}

    def annotate(self, model: GraphModule) -> GraphModule:
        """Annotate the graph's nodes in place, as torchao's `Quantizer` demands."""
        _note_pictures(model, self.signature)
        quantized = self._integers(model)
        if _separate(model, quantized):
            quantized = self._integers(model)
        groups = _grouped(quantized)
        _tie(groups, _states(model, self.signature))
        for node in model.graph.nodes:
            if node in groups:
                head = groups.head(node)
                _note(node).output_qspec = (
                    self._output_spec(groups.fixed(node) or self._known_scale(groups, node))
                    if head is node
                    else SharedQuantizationSpec(head)
                )
        for node in quantized:
            self._annotate_constants(node)
        return model

    def _integers(self, model: GraphModule) -> list[Node]:
        """The operators to be computed in integers: of those that only move values, what no
        operator of integers reads or makes is not worth a rounding."""
        infinite = masked(model)
        possible = [
            node
            for node in model.graph.nodes
            if self._is_integer(node) and not infinite.intersection([node, *activations(node)])
        ]
        computing = [node for node in possible if not _moves(node)]
        groups = _grouped(possible)
        _tie(groups, _states(model, self.signature))
        used = {groups.head(each) for node in computing for each in _tensors(node)}
        return [node for node in possible if not _moves(node) or groups.head(node) in used]

    def _annotate_constants(self, node: Node) -> None:
        name, edges = str(node.target), _note(node).input_qspec_map
        if name in WEIGHTED:
            edges[node.args[1]] = self._weight_spec()
        elif name in RANGED:
            for each in node.all_input_nodes:
                if each.op == "get_attr":
                    edges[each] = self._activation_spec(WeightFakeQuantize)

    def validate(self, model: GraphModule) -> None:
        """Nothing: torchao's `Quantizer` demands the method."""
        pass

    def _is_integer(self, node: Node) -> bool:
        known = node.op == "call_function" and str(node.target) in KNOWN
        if not known or is_kept(node, self.keep_float):
            return False
        weights = node.args[1:2] if str(node.target) in WEIGHTED else ()
        constant = all(each.op == "get_attr" for each in weights if each is not None)  # type: ignore[union-attr]
        return constant and all(map(_is_real, [node, *activations(node)]))

    def _known_scale(self, groups: _Groups, node: Node) -> Scale | None:
        """The widest of the known scales of a group's tensors."""
        makers = {maker(each) for each in groups.members(node)} & self.known.keys()
        return max((self.known[each] for each in makers), default=None)

    def _output_spec(self, scale: Scale | None) -> Any:
        if scale is None:
            return self._activation_spec(ActivationFakeQuantize)
        return self._activation_spec(
            FixedFakeQuantize.with_args(fixed_scale=scale[0], fixed_zero_point=scale[1]), False
        )

    def _activation_spec(self, rounding: Any, symmetric: bool | None = None) -> Any:
        import torch

        symmetric = self.scheme.activation_symmetric if symmetric is None else symmetric
        return QuantizationSpec(
            dtype=torch.int8,
            quant_min=-128,
            quant_max=127,
            qscheme=torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine,
            observer_or_fake_quant_ctr=rounding,
        )

    def _weight_spec(self) -> Any:
        import torch

        scheme = self.scheme
        high = 2 ** (scheme.weight_bits - 1) - 1
        grain = "channel" if scheme.per_channel else "tensor"
        kind = "symmetric" if scheme.weight_symmetric else "affine"
        return QuantizationSpec(
            dtype=torch.int8,
            quant_min=-high if scheme.weight_symmetric else -high - 1,
            quant_max=high,
            qscheme=getattr(torch, f"per_{grain}_{kind}"),
            ch_axis=0 if scheme.per_channel else None,
            observer_or_fake_quant_ctr=WeightFakeQuantize,
        )


def _note(node: Node) -> Any:
    """A node's annotation. Tensors of like precision have no scale in common unless it says so."""
    fresh = QuantizationAnnotation(_annotated=True, allow_implicit_sharing=False)
    return node.meta.setdefault("quantization_annotation", fresh)


def _is_real(node: Node) -> bool:
    found = node.meta["val"]
    return hasattr(found, "dtype") and found.dtype.is_floating_point


def maker(node: Node) -> str:
    """What computes the values of a tensor, whatever moves them afterwards, by its origin in the
    model; empty where that is unknown, or they come from several."""
    source: Any = node
    while _moves(source) and len(activations(source)) == 1:
        (source,) = activations(source)
    if is_clamp(source) and is_fused(source.args[0]):
        source = source.args[0]
    computes = source.op == "placeholder" or str(source.target).startswith("aten.")
    return (origin(source) or "") if computes and not _moves(source) else ""


def _fixed_scale(node: Node) -> Scale | None:
    """Scale and zero point, where they are not for the data to say."""
    if node.op == "placeholder":
        return (PIXEL_SCALE, PIXEL_ZERO_POINT) if node.meta.get(_PICTURE) else None
    return FIXED.get(str(node.target))


def _note_pictures(model: GraphModule, signature: Signature) -> None:
    for node, spec in zip(placeholders(model), signature.inputs, strict=True):
        node.meta[_PICTURE] = spec.layout == "NCHW" and spec.range == (0.0, 1.0)


def _states(model: GraphModule, signature: Signature) -> Iterator[tuple[Node, Node]]:
    """What a step gives back, and where the next one reads it."""
    given = {spec.name: node for spec, node in zip(signature.outputs, results(model), strict=True)}
    taken = zip(signature.inputs, placeholders(model), strict=True)
    takes = {spec.name: node for spec, node in taken}
    for output, fed in signature.state.items():
        yield given[output], takes[fed]


def _tie(groups: _Groups, states: Iterable[tuple[Node, Node]]) -> None:
    """One scale for both ends of each state that has scales."""
    for given, taken in states:
        if given in groups and taken in groups and not groups.differ(given, taken):
            groups.join(given, taken)


def _moves(node: Node) -> bool:
    """Whether an operator computes no value of its own."""
    return str(node.target) in SAME_SCALE - AVERAGES


def _grouped(quantized: list[Node]) -> _Groups:
    """Every tensor that these operators read and write, with those that share its scale."""
    groups = _Groups()
    for node in quantized:
        for tensor in _tensors(node):
            groups.add(tensor)
    moving = [node for node in quantized if str(node.target) in SAME_SCALE]
    # Those with one source first, so that what a concatenation joins is known to have a fixed
    # scale or not: pixels would force theirs, of 0 to 1, on all that they are joined with.
    for node in sorted(moving, key=lambda node: len(activations(node)) > 1):
        sources = activations(node)
        for source in sources:
            fixed = _fixed_scale(groups.head(source))
            if fixed is None or (len(sources) == 1 and _holds(fixed, padding_value(node))):
                groups.join(source, node)
    return groups


def _separate(model: GraphModule, quantized: list[Node]) -> bool:
    """Put a ReLU behind what has a fixed scale and is read with another: none of it is negative, so
    only the scale changes. Runtimes have an integer ReLU from one scale to another; two quantize
    operators in a row, LiteRT's converter does not take."""
    import torch

    groups = _grouped(quantized)
    moving = [node for node in quantized if str(node.target) in SAME_SCALE]
    pairs = [(node, source) for node in moving for source in activations(node)]
    pairs = [(node, each) for node, each in pairs if groups.head(node) is not groups.head(each)]
    for node, source in pairs:
        with model.graph.inserting_before(node):
            relu = model.graph.call_function(torch.ops.aten.relu.default, (source,))
        relu.meta = {"val": source.meta["val"]}
        node.replace_input_with(source, relu)
    model.recompile()
    return bool(pairs)


def _holds(fixed: Scale, padded: float | None) -> bool:
    """Whether the integers of a scale stand for a padding's value as well."""
    scale, zero_point = fixed
    low, high = (scale * (end - zero_point) for end in (-128, 127))
    return padded is None or is_unbounded(padded) or low <= padded <= high


def _tensors(node: Node) -> list[Node]:
    """Tensors with a scale around an integer operator."""
    source: Any = node.args[0]
    inside = is_clamp(node) and is_fused(source)
    sources = [] if inside else activations(node)
    return sources if is_fused(node) else [*sources, node]


class _Groups:
    """Tensors that share one scale (union-find); the first in the graph is a group's head."""

    def __init__(self) -> None:
        self._parent: dict[Node, Node] = {}

    def __contains__(self, node: Node) -> bool:
        return node in self._parent

    def add(self, node: Node) -> None:
        self._parent.setdefault(node, node)

    def head(self, node: Node) -> Node:
        while self._parent[node] is not node:
            node = self._parent[node]
        return node

    def fixed(self, node: Node) -> Scale | None:
        """The scale and zero point that one of a group's tensors prescribes to all."""
        scales = map(_fixed_scale, self.members(node))
        return next((scale for scale in scales if scale is not None), None)

    def members(self, node: Node) -> list[Node]:
        """The tensors of a group."""
        head = self.head(node)
        return [each for each in self._parent if self.head(each) is head]

    def differ(self, one: Node, other: Node) -> bool:
        """Whether two groups have scales prescribed that are not the same."""
        scales = {self.fixed(one), self.fixed(other)} - {None}
        return len(scales) > 1

    def join(self, one: Node, other: Node) -> None:
        first, second = sorted((self.head(one), self.head(other)))
        self._parent[second] = first
