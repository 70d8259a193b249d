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
from edgedistill.compress.groups import (
    Groups,
    Scale,
    grouped,
    maker,
    moves,
    note_pictures,
    separate,
    states_of,
    tensors_of,
    tie,
)
from edgedistill.compress.masks import masked
from edgedistill.compress.operators import (
    KNOWN,
    RANGED,
    WEIGHTED,
    activations,
    is_kept,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.fx import GraphModule, Node

    from edgedistill.signature import Signature
    from edgedistill.target import Scheme


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
        note_pictures(model, self.signature)
        quantized = self._integers(model)
        if separate(model, quantized):
            quantized = self._integers(model)
        groups = grouped(quantized)
        tie(groups, states_of(model, self.signature))
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
        computing = [node for node in possible if not moves(node)]
        groups = grouped(possible)
        tie(groups, states_of(model, self.signature))
        used = {groups.head(each) for node in computing for each in tensors_of(node)}
        return [node for node in possible if not moves(node) or groups.head(node) in used]

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

    def _known_scale(self, groups: Groups, node: Node) -> Scale | None:
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
