"""Model families: build, describe, save, load. A user's own model enters the same way.

On disk a model is a folder with `model.json` (which family with which arguments, and the pruning
steps to replay) and `weights.safetensors`; nothing that could run code.
"""

from __future__ import annotations

import importlib
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.artifact import file_digest, text_digest, write_json
from edgedistill.errors import UserError, in_short
from edgedistill.recipe import Model

if TYPE_CHECKING:
    import torch
    from torch import nn


def build(model: Model, classes: int, channels: int, image_size: int) -> nn.Module:
    """A module of float32 pixels (batch, channels, height, width) in 0..1 to logits
    (batch, classes). Weights are loaded where given; else they are pretrained or random.

    Raises UserError: unknown model, weights that do not fit, a size the model cannot take, a
    result that is not (batch, classes).
    """
    from edgedistill.models.weights import fit, read

    inner = _family(model).make(model, classes, channels, image_size)
    if model.weights is not None:
        fit(inner, read(model.weights), str(model.weights))
    module = _normalized(inner, model, channels)
    _try(module, model, classes, channels, image_size)
    return module


def describe(
    model: Model,
    classes: int,
    channels: int,
    image_size: int,
    pruning: list[Any] | None = None,
) -> dict[str, Any]:
    """What `save` writes to `model.json`. The weights' origin is left out: they lie beside it."""
    return {
        "model": {**model.model_dump(mode="json"), "weights": None},
        "classes": classes,
        "channels": channels,
        "image_size": image_size,
        "pruning": pruning,
    }


def save(module: nn.Module, folder: Path, description: dict[str, Any]) -> None:
    """Write `model.json` and `weights.safetensors` into `folder`."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    # Cloned, as safetensors refuses tensors that share memory.
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in module.state_dict().items()
    }
    save_file(tensors, folder / "weights.safetensors")
    write_json(folder / "model.json", description)


def load(folder: Path) -> nn.Module:
    """The model in `folder`, in evaluation mode: built anew, pruning replayed, weights loaded.

    Raises UserError: the weights do not fit what `model.json` describes.
    """
    from edgedistill.models.weights import fit, read

    module = fresh(folder)
    fit(module, read(folder / "weights.safetensors"), str(folder / "weights.safetensors"))
    return module.eval()


def fresh(folder: Path) -> nn.Module:
    """The shape of the model in `folder`, pruning replayed, with new random weights."""
    from pydantic import TypeAdapter

    from edgedistill.models.pruned import replay

    saved = json.loads((folder / "model.json").read_text())
    model: Model = TypeAdapter(Model).validate_python(saved["model"])
    shape = saved["channels"], saved["image_size"]
    # Pretrained weights are not fetched again: the folder's own replace them.
    blank = model.model_copy(update={"pretrained": False} if hasattr(model, "pretrained") else {})
    inner = _family(model).make(blank, saved["classes"], *shape)
    module = _normalized(inner, model, saved["channels"]).eval()
    if saved["pruning"]:
        replay(module, saved["pruning"], *shape)
    return module


def fingerprint(model: Model) -> str:
    """Digest of everything that the built model depends on; imports nothing heavy.

    Raises UserError: weights or source file missing, or weights that are a pickle.
    """
    from edgedistill.models.weights import check

    content: dict[str, Any] = model.model_dump(mode="json")
    if model.weights is not None:
        check(model.weights)
        content["weights"] = file_digest(model.weights)
    if model.family == "function":
        from edgedistill.usercode import source_digest

        content["source"] = source_digest(model.function, "function")
    return text_digest(content)


def count(module: nn.Module, channels: int, image_size: int) -> tuple[float, float]:
    """Multiply-accumulates of one inference in millions, parameters in thousands; what counts is
    told in `models/work.py`."""
    import torch

    from edgedistill.models.work import products

    pixels = torch.zeros(1, channels, image_size, image_size, device=device_of(module))
    macs = sum(each.macs for each in products(module, pixels))
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return macs / 1e6, parameters / 1e3


def check_knows(model: Model, classes: int) -> None:
    """Raises UserError: the model's pretrained weights are for another number of classes, so that
    its last layer would be new, and its answers chance."""
    if model.weights is not None or not getattr(model, "pretrained", False):
        return
    known = _family(model).pretrained_classes(model)
    if known != classes:
        raise UserError(
            f"teacher `{getattr(model, 'name', model.family)}`: its pretrained weights tell "
            f"{known} classes apart, the data has {classes}: its last layer would be random",
            "train it on the data first (`stages.teacher.train`), or give `weights`",
        )


def device_of(module: nn.Module) -> torch.device:
    """Where the module's weights lie; without any, the CPU."""
    import torch

    tensors = itertools.chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def _family(model: Model) -> Any:
    """The file here of the same name: `make(model, classes, channels, image_size) -> nn.Module`,
    and `normalization(model) -> (mean, std) | None`, what its own pretrained weights expect."""
    return importlib.import_module(f"edgedistill.models.{model.family}")


def _normalized(inner: nn.Module, model: Model, channels: int) -> nn.Module:
    from edgedistill.models.normalized import Normalized

    values: Any = (model.mean, model.std) if model.mean else _family(model).normalization(model)
    if values is None:
        return inner
    mean, std = (tuple(each) for each in values)
    if channels == 1 and len(mean) == 3 and not model.mean:
        mean, std = (sum(mean) / 3,), (sum(std) / 3,)
    if not len(mean) == len(std) == channels:
        raise UserError(
            f"`mean` has {len(mean)} and `std` {len(std)} values, the images {channels} channel(s)",
            "give one value for each channel",
        )
    return Normalized(inner, mean, std)


def _try(module: nn.Module, model: Model, classes: int, channels: int, image_size: int) -> None:
    """One blank image through the model, so that a misfit shows here and not hours later."""
    import torch

    label = getattr(model, "name", None) or getattr(model, "function", model.family)
    size = f"{channels}x{image_size}x{image_size}"
    training = module.training
    try:
        with torch.no_grad():
            logits = module.eval()(torch.zeros(1, channels, image_size, image_size))
    except (UserError, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # a model of the user's own raises whatever it does
        raise UserError(
            f"model `{label}` cannot take {size} images: {in_short(error)}",
            "set `data.image_size` and `data.channels` to what the model takes",
        ) from error
    finally:
        module.train(training)
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != (1, classes):
        raise UserError(
            f"model `{label}` gives {got} for one {size} image, expected logits (1, {classes})",
            f"the data has {classes} classes: let the model's last layer give as many",
        )
