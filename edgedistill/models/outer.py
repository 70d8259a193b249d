"""A model's outer layers: those that read the pixels, and those that give the answer. Both are
found by what flows where, as a model may register its layers in any order and have more of them
than one answer takes (auxiliary heads, branches that only training needs)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from edgedistill.errors import UserError, in_short
from edgedistill.models.programs import judged
from edgedistill.signature import Inputs, image_shape, in_words


def required_image_shape(inputs: Inputs, label: str) -> tuple[int, int, int]:
    """(channels, height, width) for a family of pictures. Raises UserError: the data are none."""
    shape = image_shape(inputs)
    if shape is None:
        raise UserError(
            f"model `{label}` takes pictures, the data are {in_words(inputs)}",
            "take a model of your own for them: `family: function`",
        )
    return shape


@torch.enable_grad()
def input_layers(module: nn.Module, *example: Tensor) -> list[str]:
    """Names of the layers with weights that read `example`, the model's inputs for one sample, or
    what was made of it without weights, in the order in which they run.

    Raises whatever the module does on `example`.
    """
    sources = [each.detach().clone() for each in example]
    for each in sources:
        if each.is_floating_point():
            each.requires_grad_()
    read: list[tuple[str, Tensor]] = []

    def cut(name: str, inputs: Any, output: Any) -> Any:
        read.extend((name, each) for each in tree_leaves(inputs) if _is_differentiable(each))
        return tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), output)

    _run(module, sources, cut)
    found = [name for name, tensor in read if any(_depends(tensor, sources))]
    return list(dict.fromkeys(found))


@torch.enable_grad()
def output_layers(module: nn.Module, *example: Tensor) -> list[str]:
    """Names of the layers with weights whose outputs become the answer to `example`, the model's
    inputs for one sample, without passing another layer of weights; with them, norms and scales
    in between.

    Raises whatever the module does on `example`.
    """
    outputs: list[tuple[str, Tensor]] = []

    def cut(name: str, inputs: Any, output: Any) -> Any:
        mixes = any(p.dim() > 1 for p in module.get_submodule(name).parameters())

        def one(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point():
                return tensor
            # A clone, as what comes next may write into its input.
            kept = tensor.detach().requires_grad_() if mixes else tensor
            outputs.append((name, kept))
            return kept.clone()

        return tree_map_only(Tensor, one, output)

    answer = judged(module, _run(module, example, cut))
    if not _is_differentiable(answer):
        return []
    reached = _depends(answer, [tensor for _, tensor in outputs])
    found = [name for (name, _), reaches in zip(outputs, reached, strict=True) if reaches]
    return list(dict.fromkeys(found))


@contextmanager
def taking(label: str, inputs: Inputs) -> Iterator[None]:
    """Around a model that is given a blank sample: it may raise whatever it does.

    Raises UserError: it cannot take it.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        kind = "images" if image_shape(inputs) else "samples"
        raise UserError(
            f"model `{label}` cannot take {in_words(inputs)} {kind}: {in_short(error)}",
            "set `data.image_size` and `data.channels` to what the model takes",
        ) from error


Cut = Callable[[str, Any, Any], Any]
"""A layer's name, inputs and output; gives what the next layers see in the output's place."""


def _run(module: nn.Module, example: Sequence[Tensor], cut: Cut) -> Any:
    """The module's answer in evaluation mode, each layer's output replaced by what `cut` gives."""

    def hook(name: str) -> Any:
        return lambda _, inputs, output: cut(name, inputs, output)

    layers = [(name, layer) for name, layer in module.named_modules() if _is_layer(layer)]
    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers]
    training = module.training
    try:
        return module.eval()(*example)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()


def _is_layer(module: nn.Module) -> bool:
    """Whether it has weights and, but for how these are computed, no modules inside."""
    children = {name for name, _ in module.named_children()} - {"parametrizations"}
    return not children and any(True for _ in module.parameters())


def _is_differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _depends(value: Tensor, sources: list[Tensor]) -> list[bool]:
    wanted = [source for source in sources if source.requires_grad]
    if not wanted:
        return [False] * len(sources)
    grads = iter(torch.autograd.grad(value.sum(), wanted, allow_unused=True, retain_graph=True))
    return [source.requires_grad and next(grads) is not None for source in sources]
