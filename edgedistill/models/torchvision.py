"""torchvision's classification models by name, with first and last layer fitted to the data."""

from __future__ import annotations

from pickle import UnpicklingError

import torch
import torchvision.models as zoo
from torch import nn

from edgedistill.errors import UserError, nearest
from edgedistill.models.weights import without_pickles
from edgedistill.recipe import TorchvisionModel

_FROM_TENSORFLOW = ("googlenet", "inception_v3")
"""With their own weights these turn ImageNet's normalization into that of -1 to 1 in `forward`."""


def make(model: TorchvisionModel, classes: int, channels: int, image_size: int) -> nn.Module:
    _check_name(model)
    arguments = {"image_size": image_size} if model.name.startswith("vit_") else {}
    try:
        weights = "DEFAULT" if model.pretrained else None
        with without_pickles():
            module: nn.Module = zoo.get_model(model.name, weights=weights, **arguments)
    except (OSError, ValueError, UnpicklingError) as error:
        raise UserError(
            f"torchvision model `{model.name}` cannot be made: {error}",
            "give `weights` (a safetensors file) instead of `pretrained` where there is no network",
        ) from error
    _drop_auxiliary_heads(module)
    if hasattr(module, "transform_input"):
        vars(module)["transform_input"] = False  # see `normalization`
    layers = [
        (name, layer)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    _fit_head(module, *layers[-1], classes)
    if channels != 3:
        _fit_stem(module, *layers[0], channels)
    return module


def normalization(
    model: TorchvisionModel,
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, std) that torchvision's own weights were trained with."""
    if not model.pretrained:
        return None
    if model.name in _FROM_TENSORFLOW:
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    preset = zoo.get_model_weights(model.name).DEFAULT.transforms()
    return tuple(preset.mean), tuple(preset.std)


def pretrained_classes(model: TorchvisionModel) -> int:
    """How many classes torchvision's own weights tell apart."""
    _check_name(model)
    return len(zoo.get_model_weights(model.name).DEFAULT.meta["categories"])


def _check_name(model: TorchvisionModel) -> None:
    names = zoo.list_models(module=zoo)
    if model.name not in names:
        raise UserError(f"torchvision has no model `{model.name}`", nearest(model.name, names))


def _drop_auxiliary_heads(module: nn.Module) -> None:
    """GoogLeNet and Inception give a tuple while training unless these are gone."""
    for name in ("aux1", "aux2", "AuxLogits"):
        if hasattr(module, name):
            setattr(module, name, None)
    if hasattr(module, "aux_logits"):
        vars(module)["aux_logits"] = False


def _fit_head(module: nn.Module, name: str, old: nn.Conv2d | nn.Linear, classes: int) -> None:
    new: nn.Module
    if classes == (old.out_features if isinstance(old, nn.Linear) else old.out_channels):
        return
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, classes, bias=old.bias is not None)
    else:
        new = nn.Conv2d(old.in_channels, classes, 1, bias=old.bias is not None)
    _replace(module, name, new)


def _fit_stem(module: nn.Module, name: str, old: nn.Conv2d | nn.Linear, channels: int) -> None:
    assert isinstance(old, nn.Conv2d), "the first layer of a torchvision model is a convolution"
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    with torch.no_grad():
        # A grey image is one whose three channels are equal: their weights add up.
        new.weight.copy_(old.weight.sum(1, keepdim=True) / channels)
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    _replace(module, name, new)


def _replace(module: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, new)
