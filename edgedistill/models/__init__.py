"""Model families: build, describe, save, load. A user's own model enters the same way.

On disk a model is a folder with `model.json` (which family with which arguments, and the pruning
steps to replay) and `weights.safetensors`; nothing that could run code.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.artifact import JsonObject, JsonValue, file_digest, text_digest, write_json
from edgedistill.models.making import (
    Origin,
    build,
    check_knows,
    make,
    origin,
    preview,
    whole,
    without_weights,
)
from edgedistill.recipe import FunctionModel, Model
from edgedistill.signature import Inputs, blank, with_channels

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "Origin", "accelerated", "build", "check_knows", "count", "describe", "device_of",
    "fingerprint", "fresh", "inputs_of", "load", "origin", "preview", "save",
]  # fmt: skip


def describe(
    model: Model,
    classes: int,
    inputs: Inputs,
    pruning: list[Any] | None = None,
) -> JsonObject:
    """What `save` writes to `model.json`. The weights' origin is left out: they lie beside it."""
    return {
        "model": {**model.model_dump(mode="json"), "weights": None},
        "classes": classes,
        "inputs": [asdict(each) for each in inputs],
        "pruning": pruning,
    }


def save(module: nn.Module, folder: Path, description: JsonObject) -> None:
    """Write `model.json` and `weights.safetensors` into `folder`."""
    from safetensors.torch import save_file

    from edgedistill.models.normalized import Spread

    folder.mkdir(parents=True, exist_ok=True)
    # Cloned, as safetensors refuses tensors that share memory.
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in module.state_dict().items()
    }
    save_file(tensors, folder / "weights.safetensors")
    spread = module.mean.numel() if isinstance(module, Spread) else None
    write_json(folder / "model.json", {**description, "spread_to": spread})


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
    inputs = inputs_of(folder)
    inside = with_channels(inputs, saved["spread_to"]) if saved["spread_to"] else inputs
    # Pretrained weights are not fetched again: the folder's own replace them.
    inner = make(without_weights(model), saved["classes"], inside)
    module = whole(inner, model, inputs, inside).eval()
    if saved["pruning"]:
        replay(module, saved["pruning"], inputs)
    return module


def inputs_of(folder: Path) -> Inputs:
    """What the model in `folder` is called with."""
    from pydantic import TypeAdapter

    saved = json.loads((folder / "model.json").read_text())
    found: Inputs = TypeAdapter(Inputs).validate_python(saved["inputs"])
    return found


def fingerprint(model: Model) -> str:
    """Digest of everything that the built model depends on; imports nothing heavy.

    Raises UserError: weights or source file missing, or weights that are a pickle.
    """
    from edgedistill.models.weights import check

    content: dict[str, JsonValue] = model.model_dump(mode="json")
    if model.weights is not None:
        check(model.weights)
        content["weights"] = file_digest(model.weights)
    if isinstance(model, FunctionModel):
        from edgedistill.usercode import source_digest

        content["source"] = source_digest(model.function, "function")
    return text_digest(content)


def count(module: nn.Module, inputs: Inputs) -> tuple[float, float]:
    """Multiply-accumulates of one inference in millions, parameters in thousands; what counts is
    told in `models/work.py`."""
    from edgedistill.models.work import products

    example = blank(inputs, device=device_of(module))
    macs = sum(each.macs for each in products(module, *example))
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return macs / 1e6, parameters / 1e3


def device_of(module: nn.Module) -> torch.device:
    """Where the module's weights lie; without any, the CPU."""
    import torch

    tensors = itertools.chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def accelerated(module: Any) -> Any:
    """A module, moved to the accelerator that torch finds here, where a training goes too;
    without one, as it is."""
    import torch

    device = torch.accelerator.current_accelerator(check_available=True)
    return module if device is None else module.to(device)
