"""torchvision's classification models by name, with first and last layer fitted to the data."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
import torchvision.models as zoo
from torch import nn

from edgedistill.errors import UserError, nearest
from edgedistill.models.outer import input_layers, output_layers, required_image_shape, taking
from edgedistill.models.weights import without_pickles
from edgedistill.recipe import TorchvisionModel
from edgedistill.signature import Inputs

_FROM_TENSORFLOW = ("googlenet", "inception_v3")
"""With their own weights these turn ImageNet's normalization into that of -1 to 1 in `forward`."""


def make(model: TorchvisionModel, classes: int, inputs: Inputs) -> nn.Module:
    """Pretrained weights are of three channels; a model without may have any number."""
    _check_name(model)
    channels, height, width = required_image_shape(inputs, model.name)
    arguments = {"image_size": height} if model.name.startswith("vit_") else {}
    with taking(model.name, inputs):  # the size of these is among their arguments
        module = _from_the_zoo(model, arguments)
    _drop_auxiliary_heads(module)
    if hasattr(module, "transform_input"):
        vars(module)["transform_input"] = False  # see `normalization`
    example = torch.zeros(1, 3, height, width)
    with taking(model.name, inputs):
        first, last = input_layers(module, example), output_layers(module, example)
    for name in last:
        _fit_head(module, name, classes)
    for name in first if channels != 3 else ():
        _fit_stem(module, name, channels)
    return module


def _from_the_zoo(model: TorchvisionModel, arguments: dict[str, int]) -> nn.Module:
    try:
        weights = "DEFAULT" if model.pretrained else None
        with without_pickles():
            module: nn.Module = zoo.get_model(model.name, weights=weights, **arguments)
    except (OSError, ValueError, UnpicklingError) as error:
        raise UserError(
            f"torchvision model `{model.name}` cannot be made: {error}",
            "give `weights` (a safetensors file) instead of `pretrained` where there is no network",
        ) from error
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


def pretrained_channels(model: TorchvisionModel) -> int:
    """All of torchvision's own weights take red, green and blue."""
    return 3


def pretrained_file(model: TorchvisionModel) -> Path | None:
    """Where torchvision's own weights lie on this disk; None: they would be downloaded."""
    _check_name(model)
    url = zoo.get_model_weights(model.name).DEFAULT.url
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    return path if path.is_file() else None


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


def _fit_head(module: nn.Module, name: str, classes: int) -> None:
    old = module.get_submodule(name)
    new: nn.Module
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, classes, bias=old.bias is not None)
        fits = old.out_features == classes
    else:
        assert isinstance(old, nn.Conv2d), "a torchvision model ends in one of both"
        new = nn.Conv2d(old.in_channels, classes, 1, bias=old.bias is not None)
        fits = old.out_channels == classes
    if not fits:
        module.set_submodule(name, new)


def _fit_stem(module: nn.Module, name: str, channels: int) -> None:
    """The first layer, untrained, for another number of channels."""
    old = module.get_submodule(name)
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
        # What its sums vary by stays: fewer channels, larger weights.
        spread = old.weight.std() * (old.in_channels / channels) ** 0.5
        new.weight.normal_().mul_(spread)
        if new.bias is not None:
            new.bias.zero_()
    module.set_submodule(name, new)
