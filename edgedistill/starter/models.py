"""The models of a recipe that `init` writes: as they are named, or as they suit the images."""

from __future__ import annotations

import re
from pathlib import Path

from edgedistill.data.survey import Found
from edgedistill.errors import UserError
from edgedistill.signature import Inputs, image_inputs
from edgedistill.starter.text import (
    Keys,
    Size,
)
from edgedistill.target import Target


def model_keys(option: str, given: str, weights: Path | None, pretrained: bool = True) -> Keys:
    """The recipe's `teacher` or `student`. Raises UserError: it cannot be made out from what was
    given.

    pretrained: whether a library's model without `weights` begins from the library's own.
    """
    from edgedistill.models.weights import PICKLES, check

    if Path(given).suffix.lower() in (".safetensors", *PICKLES):
        return _from_weights(option, _home(option, given))
    if weights is not None:
        check(weights)
    own = {"weights": weights} if weights else {}
    family, colon, name = given.partition(":")
    if family == "resnet_cifar" and re.fullmatch("[0-9]{1,4}", name):
        shortcut = {} if option == "--teacher" else {"shortcut": "conv"}
        return {"family": family, "depth": int(name), **shortcut, **own}
    if family in ("torchvision", "timm") and name:
        return {"family": family, "name": name, **(own or {"pretrained": pretrained})}
    if not (family and colon and name) or family == "resnet_cifar":
        raise UserError(
            f"{option} {given}: not a model",
            "resnet_cifar:56, torchvision:NAME, timm:NAME, MODULE:FUNCTION, or a .safetensors file",
        )
    return {"family": "function", "function": given, **own}


def suggested(found: Found, size: Size, target: Target, pretrained: bool) -> Keys:
    """A student that learns from so many such images, in whole blocks of every target's kernels,
    and fits the target's budget. Its size is of int8 weights."""
    kb = target.budget.size_kb or float("inf")
    if max(size) >= 64 and kb >= MOBILENET_KB:
        return {"family": "torchvision", "name": "mobilenet_v3_small", "pretrained": pretrained}
    depth = 20 if not found.grey else 14 if len(found.classes) > 10 or found.images >= 5_000 else 8
    while depth > 8 and RESNET_KB[depth] > kb:
        depth -= 6
    return {"family": "resnet_cifar", "depth": depth, "shortcut": "conv"}


MOBILENET_KB = 1_700


RESNET_KB = {8: 90, 14: 190, 20: 290}


def named(model: Keys) -> str:
    """A model as `--student` takes it."""
    return f"{model['family']}:{model.get('name') or model.get('depth')}"


def weights_notes(models: dict[str, Keys], found: Found, size: Size) -> tuple[list[str], set[str]]:
    """What becomes of the models' own weights, and whose output layer is new. Raises UserError:
    they do not fit."""
    notes: list[str] = []
    new = {role for role, keys in models.items() if keys.get("pretrained")}
    for role, keys in models.items():
        if "weights" not in keys:
            continue
        from pydantic import TypeAdapter

        from edgedistill.models import preview
        from edgedistill.recipe import Model

        model: Model = TypeAdapter(Model).validate_python(keys)
        seen = preview(model, len(found.classes), _inputs(found, size))
        notes += [f"{role}: {note}" for note in seen.notes]
        new |= {role} if seen.new_head else set()
    return notes, new


def _home(option: str, given: str) -> Path:
    try:
        return Path(given).expanduser()
    except RuntimeError as error:  # `~name`, of nobody here
        raise UserError(f"{option} {given}: {error}", "give the whole path") from None


def _from_weights(option: str, path: Path) -> Keys:
    """The CIFAR-style residual network that a safetensors file holds, by its tensors' names."""
    from edgedistill.models.weights import shapes as read_shapes

    shapes = read_shapes(path)
    blocks = {match[1] for name in shapes if (match := re.match(r"layer1\.(\d+)\.", name))}
    # Shapes of no dimension and of none at all count for nothing.
    widths = [(*shapes.get(f"layer{n}.0.conv1.weight", ()), 0)[0] for n in (1, 2, 3)]
    if not (blocks and all(widths) and shapes.get("linear.weight")):
        raise UserError(
            f"{option} {path}: its tensors are not those of a CIFAR-style residual network",
            f"name the model and give its weights apart: {option} torchvision:resnet50 "
            f"--weights {path.name}",
        )
    shortcut = "conv" if any(".shortcut." in name for name in shapes) else "pad"
    return {
        "family": "resnet_cifar",
        "depth": 6 * len(blocks) + 2,
        "widths": widths,
        "shortcut": shortcut,
        "weights": path,
    }


def _inputs(found: Found, size: Size) -> Inputs:
    return image_inputs(1 if found.grey else 3, *size)


def taken(models: dict[str, Keys], found: Found, size: Size) -> Size:
    """The images' size, or the next usual one that the libraries' models take; where they take
    none, `check` tells why."""
    libraries = [keys for keys in models.values() if keys["family"] in ("torchvision", "timm")]
    larger = ((side, side) for side in (32, 64, 96, 128, 224, 299) if side > max(size))
    return next((each for each in (size, *larger) if _take(libraries, found, each)), size)


def _take(models: list[Keys], found: Found, size: Size) -> bool:
    from pydantic import TypeAdapter

    from edgedistill.models import preview
    from edgedistill.recipe import Model

    for keys in models:
        blank = {"family": keys["family"], "name": keys["name"]}
        model: Model = TypeAdapter(Model).validate_python(blank)
        try:
            preview(model, len(found.classes), _inputs(found, size))
        except UserError:
            return False
    return True
