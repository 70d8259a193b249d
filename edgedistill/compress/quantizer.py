"""A target's quantization scheme as torchao's PT2E annotations: which tensor gets which scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)

from edgedistill.compress.observers import ActivationRounding, FixedRounding, WeightRounding
from edgedistill.compress.operators import (
    FIXED,
    RANGED,
    SAME_SCALE,
    WEIGHTED,
    activations,
    is_clamp,
    is_fused,
    layer_name,
)

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

    from edgedistill.target import Scheme

PIXEL_SCALE, PIXEL_ZERO_POINT = 1 / 255, -128
"""Of the first input: pixels 0..1 are the integers `uint8 - 128`, exactly."""


class SchemeQuantizer(Quantizer):  # type: ignore[misc]
    """Give every tensor that an integer operator reads or writes one scale, at its producer.

    A ReLU that alone reads a convolution, linear layer or sum is computed within it, so the
    scale goes behind the ReLU. Operators that only move values share the scale of their inputs,
    but for one that is fixed among several.
    `keep_float` names layers (see `layer_name`) that stay in float.
    """

    def __init__(self, scheme: Scheme, keep_float: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.scheme = scheme
        self.keep_float = keep_float

    def annotate(self, model: GraphModule) -> GraphModule:
        quantized = [node for node in model.graph.nodes if self._is_integer(node)]
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
                if len(sources) == 1 or not _is_fixed(groups.head(source)):
                    groups.join(source, node)
        for node in model.graph.nodes:
            if node in groups:
                head = groups.head(node)
                spec = self._output_spec(node) if head is node else SharedQuantizationSpec(head)
                node.meta["quantization_annotation"] = QuantizationAnnotation(
                    output_qspec=spec, _annotated=True
                )
        for node in quantized:
            if str(node.target) in WEIGHTED:
                note = node.meta.setdefault(
                    "quantization_annotation", QuantizationAnnotation(_annotated=True)
                )
                note.input_qspec_map = {node.args[1]: self._weight_spec()}
        return model

    def validate(self, model: GraphModule) -> None:
        pass

    def _is_integer(self, node: Node) -> bool:
        known = str(node.target) in WEIGHTED | RANGED | set(FIXED) | SAME_SCALE
        return known and node.op == "call_function" and not self._is_kept(node)

    def _is_kept(self, node: Node) -> bool:
        """Whether `node`, or what it is computed within, was named in `keep_float`."""
        within: Any = node.args[0] if is_clamp(node) else node
        return layer_name(node) in self.keep_float or (
            is_fused(within) and layer_name(within) in self.keep_float
        )

    def _output_spec(self, node: Node) -> Any:
        import torch

        fixed = FIXED.get(str(node.target))
        if node.op == "placeholder":
            fixed = (PIXEL_SCALE, PIXEL_ZERO_POINT)
        symmetric = self.scheme.activation_symmetric and fixed is None
        rounding: Any = ActivationRounding
        if fixed is not None:
            rounding = FixedRounding.with_args(fixed_scale=fixed[0], fixed_zero_point=fixed[1])
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
            observer_or_fake_quant_ctr=WeightRounding,
        )


def _is_fixed(node: Node) -> bool:
    """Whether the scale of what it computes is not for the data to say."""
    return node.op == "placeholder" or str(node.target) in FIXED


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

    def join(self, one: Node, other: Node) -> None:
        first, second = sorted((self.head(one), self.head(other)))
        self._parent[second] = first
