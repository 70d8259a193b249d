"""timm's models by name; timm itself fits the last layer to the data, and of a model without
pretrained weights the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from edgedistill.errors import UserError, nearest
from edgedistill.models.outer import required_image_shape
from edgedistill.recipe import TimmModel
from edgedistill.signature import Inputs


def make(model: TimmModel, classes: int, inputs: Inputs) -> nn.Module:
    """A model built for one image size, as vision transformers are, is built for the data's. Raises
    UserError: timm is missing or has no such model, or the data are no pictures."""
    timm = _timm()
    _check_name(timm, model)
    channels, *size = required_image_shape(inputs, model.name)
    arguments: dict[str, int | tuple[int, ...]] = {"num_classes": classes, "in_chans": channels}
    if not timm.get_pretrained_cfg(model.name).to_dict().get("fixed_input_size"):
        return _create(timm, model, arguments)
    return _create(timm, model, {**arguments, "img_size": tuple(size)})


def normalization(model: TimmModel) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, std) that timm's own weights were trained with."""
    if not model.pretrained:
        return None
    config = _timm().get_pretrained_cfg(model.name)
    return tuple(config.mean), tuple(config.std)


def pretrained_classes(model: TimmModel) -> int:
    """How many classes timm's own weights tell apart."""
    timm = _timm()
    _check_name(timm, model)
    return int(timm.get_pretrained_cfg(model.name).num_classes)


def pretrained_channels(model: TimmModel) -> int:
    """How many channels timm's own weights take."""
    timm = _timm()
    _check_name(timm, model)
    return int(timm.get_pretrained_cfg(model.name).input_size[0])


def pretrained_file(model: TimmModel) -> Path | None:
    """Where timm's own weights lie on this disk; None: they would be downloaded."""
    import torch
    from huggingface_hub import try_to_load_from_cache

    timm = _timm()
    _check_name(timm, model)
    config = timm.get_pretrained_cfg(model.name)
    places = [Path(torch.hub.get_dir(), "checkpoints", str(config.url).rpartition("/")[2])]
    if config.file:
        places.append(Path(config.file))
    if config.hf_hub_id:
        names = filter(None, (config.hf_hub_filename, "model.safetensors", "pytorch_model.bin"))
        cached = (try_to_load_from_cache(config.hf_hub_id, name) for name in names)
        places += [Path(each) for each in cached if isinstance(each, str)]
    return next((place for place in places if place.is_file()), None)


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        raise UserError(
            "the `timm` family needs the package timm", "pip install 'edgedistill[timm]'"
        ) from None
    return timm


def _check_name(timm: Any, model: TimmModel) -> None:
    if not timm.is_model(model.name):
        names = timm.list_models()
        hint = nearest(model.name, names) if len(names) < 50 else _close(model.name, names)
        raise UserError(f"timm has no model `{model.name}`", hint)


def _close(name: str, names: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, names, n=3)
    return (
        f"did you mean {' or '.join(f'`{each}`' for each in close)}?"
        if close
        else ("`python -c 'import timm; print(timm.list_models())'` lists them")
    )


def _create(timm: Any, model: TimmModel, arguments: dict[str, int | tuple[int, ...]]) -> nn.Module:
    try:
        module: nn.Module = timm.create_model(model.name, pretrained=model.pretrained, **arguments)
    except Exception as error:  # timm raises whatever its model or the hub raised
        raise UserError(
            f"timm model `{model.name}` cannot be made: {error}",
            "give `weights` (a safetensors file) instead of `pretrained` where there is no network",
        ) from error
    return module
