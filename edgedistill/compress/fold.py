"""From a trained module to one clean graph: batch norm and normalization become convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedistill.compress.attention import batch_first
from edgedistill.compress.batch_norms import fold_batch_norms
from edgedistill.compress.constants import fold_constants
from edgedistill.compress.pixel_affine import fold_pixel_affine
from edgedistill.compress.pools import spell_out_pools
from edgedistill.compress.surgery import (
    argument,
    is_conv,
    set_weights,
)
from edgedistill.compress.writes import without_writes
from edgedistill.errors import UserError, out_of_resources
from edgedistill.program import Program, answers, export, graph_of, note_origins, value
from edgedistill.signature import Inputs, Signature, image_shape, noise

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import GraphModule, Node

_TOLERANCE = 0.01
"""Largest difference that folding may make, as a share of the largest answer."""
_IDENTITIES = ("dropout", "alpha_dropout", "feature_dropout", "clone", "contiguous", "alias")


def fold(module: nn.Module, signature: Signature | Inputs) -> Program:
    """Export `module` for inference with every constant affine map folded into a convolution.

    Batch norm goes into the convolution or linear layer before it. What shifts and scales the
    pixels at the head of the graph goes into the first convolution where that is exact: without
    zero padding, or without a shift (the padding's zeros would be shifted too). Elsewhere, and for
    a batch norm with no layer before it, it becomes a depthwise 1x1 convolution with a bias, which
    is exact and quantizes like any other; one of features without height and width goes into the
    linear layers after it, or becomes one; one of other axes becomes a product and a sum. Dropout
    and other identities are removed.

    The program has the module's inputs and outputs; the batch is dynamic. Weights keep their
    names, without the normalization's `model.`. The signature is as for `program.export`.

    Raises UserError: the module cannot be exported, or what came out answers differently.
    """
    import copy

    plain = copy.deepcopy(module).eval()
    try:
        program = _folded(plain, signature, _wrapper(module))
    except Exception as error:  # torch.export raises whatever a user's module makes it raise
        if isinstance(error, UserError) or out_of_resources(error) is not None:
            raise
        raise UserError(
            f"the model cannot be made into one graph: {type(error).__name__}: {error}",
            "torch.export takes no branch on values and no autocast block; see its words above",
        ) from error
    _check(program, plain)
    return program


def _wrapper(module: nn.Module) -> str:
    """Under which name a module around the model, if there is one, holds it."""
    from edgedistill.models.normalized import Normalized
    from edgedistill.models.programs import Method

    return "model" if isinstance(module, Normalized | Method) else ""


def _check(program: Program, module: nn.Module) -> None:
    """Raises UserError: the program is not the module."""
    import torch

    random = torch.Generator().manual_seed(0)
    samples = noise(program.signature.inputs, 2, random)
    with torch.no_grad():
        wanted, again = _flat(module(*samples)), _flat(module(*samples))
        found = _flat(graph_of(program)(*samples))
    differs = float((wanted - again).abs().max())
    if differs > 1e-5 * float(wanted.abs().max()):
        raise UserError(
            f"the model answers differently each time: up to {differs:.3g} apart for the same "
            f"image, where its answers are up to {float(wanted.abs().max()):.3g}",
            "does it draw random numbers when it only answers (`F.dropout(x, p)` without "
            "`training=self.training`, noise), or change itself? Let it do so in training alone",
        )
    apart, span = float((wanted - found).abs().max()), float(wanted.abs().max())
    if not apart <= _TOLERANCE * span:
        raise UserError(
            f"the model as one graph answers up to {apart:.3g} beside the model itself, whose "
            f"answers are up to {span:.3g}",
            "does it write into places that values choose, or into every second one "
            "(`x[:, ::2] = ...`)? Write that without, with torch.cat for one",
        )


def _flat(given: Any) -> Tensor:
    import torch

    return torch.cat([each.flatten(1) for each in answers(given)], 1)


def _folded(module: nn.Module, signature: Signature | Inputs, wrapper: str) -> Program:
    with batch_first(module):
        program = without_writes(export(module, signature))
    graph, inputs = graph_of(program), program.signature.inputs
    _make_functional(graph)
    _drop_identities(graph)
    fold_constants(graph)
    _slice_instead_of_splitting(graph)
    _select_instead_of_unbinding(graph)
    _spell_out_silu(graph)
    shape = image_shape(inputs)
    if shape is not None:
        fold_pixel_affine(graph, shape[0])
    fold_batch_norms(graph)
    _open_gates(graph)
    _pool_with_axes(graph)
    spell_out_pools(graph)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    note_origins(graph, program.signature, wrapper)
    return export(_renamed(graph, wrapper), program.signature)


def _make_functional(graph: GraphModule) -> None:
    """Swap in-place operators for their functional twins: no alias of theirs may be read later.
    Views become reshapes, which need no layout in memory."""
    import torch

    for node in graph.graph.nodes:
        name = str(node.target)
        if name == "aten.view.default":
            node.target = torch.ops.aten.reshape.default
        if node.op == "call_function" and name.startswith("aten.") and "_." in name:
            _, base, overload = name.split(".")
            packet = getattr(torch.ops.aten, base.removesuffix("_"), None)
            if base.endswith("_") and packet is not None and hasattr(packet, overload):
                node.target = getattr(packet, overload)


def _is_identity(node: Node) -> bool:
    name = str(node.target)
    if name.split(".")[1:2] and name.split(".")[1] in _IDENTITIES:
        return True
    # x[:] of a dimension that a strided slice leaves alone.
    return name == "aten.slice.Tensor" and tuple(node.args[2:]) in ((0, 2**63 - 1), (0,), ())


def _drop_identities(graph: GraphModule) -> None:
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and _is_identity(node):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)


def _select_instead_of_unbinding(graph: GraphModule) -> None:
    """Single entries of a tensor, which have the scale of the whole."""
    import torch

    for node in list(graph.graph.nodes):
        if str(node.target) != "aten.unbind.int":
            continue
        for user in list(node.users):
            with graph.graph.inserting_before(user):
                entry = (node.args[0], argument(node, 1, 0), user.args[1])
                chosen = graph.graph.call_function(torch.ops.aten.select.int, entry)
            chosen.meta = dict(user.meta)
            user.replace_all_uses_with(chosen)
            graph.graph.erase_node(user)


def _spell_out_silu(graph: GraphModule) -> None:
    """Write silu(x) as x * sigmoid(x), both of which have integer kernels."""
    import torch

    for node in list(graph.graph.nodes):
        if str(node.target) != "aten.silu.default":
            continue
        with graph.graph.inserting_before(node):
            gate = graph.graph.call_function(torch.ops.aten.sigmoid.default, (node.args[0],))
        gate.meta = dict(node.meta)
        node.target, node.args = torch.ops.aten.mul.Tensor, (node.args[0], gate)


def _slice_instead_of_splitting(graph: GraphModule) -> None:
    """Parts of a tensor as slices, which have the scale of the whole."""
    import torch

    for node in list(graph.graph.nodes):
        name = str(node.target)
        if name == "aten.narrow.default" and all(isinstance(at, int) for at in node.args[1:]):
            source, axis, begin, length = node.args
            begin %= source.meta["val"].shape[axis]
            node.target = torch.ops.aten.slice.Tensor
            node.args = (source, axis, begin, begin + length)
        if name not in ("aten.chunk.default", "aten.split.Tensor", "aten.split_with_sizes.default"):
            continue
        axis, begin = argument(node, 2, 0), 0
        parts = {int(user.args[1]): user for user in node.users}
        for number, part in enumerate(node.meta["val"]):
            end = begin + part.shape[axis]
            user = parts.get(number)
            if user is not None and isinstance(end, int):
                with graph.graph.inserting_before(user):
                    cut = (node.args[0], axis, begin, end)
                    piece = graph.graph.call_function(torch.ops.aten.slice.Tensor, cut)
                piece.meta = dict(user.meta)
                user.replace_all_uses_with(piece)
                graph.graph.erase_node(user)
            begin = end


def _open_gates(graph: GraphModule) -> None:
    """Write x * hardsigmoid(conv(y)), read by a convolution, as x * relu6(conv(y) + 3) with that
    convolution's weights divided by 6: exact, and all of it has integer kernels."""
    import torch

    for node in list(graph.graph.nodes):
        if str(node.target) != "aten.hardsigmoid.default":
            continue
        source = node.args[0]
        (product, *more), readers = node.users, [each for user in node.users for each in user.users]
        if not is_conv(source) or len(source.users) > 1 or more or not readers:
            continue
        if str(product.target) != "aten.mul.Tensor" or not all(map(is_conv, readers)):
            continue
        for layer, factor, offset in [
            (source, 1.0, 3.0),
            *((each, 1 / 6, 0.0) for each in readers),
        ]:
            weight, bias = value(graph, layer.args[1]), value(graph, argument(layer, 2, None))
            assert weight is not None
            bias = weight.new_zeros(len(weight)) if bias is None else bias
            set_weights(graph, layer, weight * factor, bias + offset)
        node.target, node.args = torch.ops.aten.hardtanh.default, (source, 0.0, 6.0)


def _pool_with_axes(graph: GraphModule) -> None:
    """A mean over height and width as global average pooling and a flattening: the axes stay for
    as long as a layout matters, so that no runtime needs a transpose."""
    import torch

    for node in list(graph.graph.nodes):
        if str(node.target) != "aten.mean.dim" or argument(node, 2, False):
            continue
        source, axes = node.args[0], sorted(axis % 4 for axis in node.args[1])
        if source.meta["val"].dim() != 4 or axes != [2, 3]:
            continue
        with graph.graph.inserting_before(node):
            pool = torch.ops.aten.adaptive_avg_pool2d.default
            pooled = graph.graph.call_function(pool, (source, [1, 1]))
            flat = graph.graph.call_function(torch.ops.aten.flatten.using_ints, (pooled, 1))
        pooled.meta["nn_module_stack"] = node.meta.get("nn_module_stack")
        node.replace_all_uses_with(flat)
        graph.graph.erase_node(node)


def _renamed(graph: GraphModule, wrapper: str) -> GraphModule:
    """A graph whose weights lie where they lay in the wrapped model, called `wrapper` there."""
    import torch

    root, learned = torch.nn.Module(), dict(graph.named_parameters())
    for node in graph.graph.nodes:
        tensor = value(graph, node)
        if tensor is None:
            continue
        path = str(node.target).removeprefix(f"{wrapper}." if wrapper else "")
        *parents, last = path.split(".")
        place = root
        for part in parents:
            if part not in dict(place.named_children()):
                place.add_module(part, torch.nn.Module())
            place = getattr(place, part)
        if str(node.target) in learned:
            setattr(place, last, torch.nn.Parameter(tensor))
        else:
            place.register_buffer(last, tensor)
        node.target = path
    return torch.fx.GraphModule(root, graph.graph)
