"""A commented recipe to begin with, guessed from a user's own model and images."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from edgedistill.data.survey import Found, look
from edgedistill.errors import UserError
from edgedistill.target import load_target


def write_recipe(out: Path, teacher: str, weights: Path | None, data: str, target: str) -> None:
    """Write a recipe to `out`. Raises UserError: `out` exists, or teacher, data or target cannot
    be made out."""
    from edgedistill.recipe import load_recipe

    folder = _new(out).parent
    load_target(target)
    found = look(data)
    model = teacher_keys(teacher, weights, found)
    side = _image_size(found, model["family"])
    student = _student(side)
    lines = [
        "# Written by `edgedistill init`: guesses to go over. Paths are relative to this file.",
        f"# `edgedistill check {_comment(out.name)}` shows the plan,",
        "# `edgedistill schema` every key.",
        f"name: {_name(found, data)}",
        *_data_lines(found, side, folder),
        *_teacher_lines(model, folder),
        "student:",
        *_yaml(student, folder),
        *_stage_lines(model, found),
        *_contract_lines(target),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with out.open("x", encoding="utf-8") as stream:
        try:
            stream.write("\n".join(lines) + "\n")
            stream.flush()
            load_recipe(out)
        except BaseException:
            out.unlink()
            raise


def _new(out: Path) -> Path:
    """Where `out` is to be, absolute. Raises UserError: something is there, or nothing can be."""
    try:
        place = out.resolve()
        os.lstat(out)
    except FileNotFoundError:
        return place
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        told = getattr(error, "strerror", None) or str(error)
        raise UserError(f"--out {str(out)[:200]}: {told}", "choose another --out") from None
    raise UserError(f"{out} exists already; it was left alone", "choose another --out")


# --- teacher --------------------------------------------------------------------------------


def teacher_keys(teacher: str, weights: Path | None, found: Found) -> dict[str, Any]:
    """The recipe's `teacher`. Raises UserError: it cannot be made out from what was given."""
    from edgedistill.models.weights import PICKLES, check

    if Path(teacher).suffix.lower() in (".safetensors", *PICKLES):
        path = _home(teacher)
        return _from_weights(path, len(found.classes))
    if weights is not None:
        check(weights)
    given = {"weights": weights} if weights else {}
    family, colon, name = teacher.partition(":")
    if family == "resnet_cifar" and re.fullmatch("[0-9]{1,4}", name):
        return {"family": family, "depth": int(name), **given}
    if family in ("torchvision", "timm") and name:
        return {"family": family, "name": name, **(given or {"pretrained": True})}
    if not (family and colon and name) or family == "resnet_cifar":
        raise UserError(
            f"--teacher {teacher}: not a model",
            "resnet_cifar:56, torchvision:NAME, timm:NAME, MODULE:FUNCTION, or a .safetensors file",
        )
    return {"family": "function", "function": teacher, **given}


def _home(teacher: str) -> Path:
    try:
        return Path(teacher).expanduser()
    except RuntimeError as error:  # `~name`, of nobody here
        raise UserError(f"--teacher {teacher}: {error}", "give the whole path") from None


def _from_weights(path: Path, classes: int) -> dict[str, Any]:
    """The CIFAR-style residual network that a safetensors file holds, by its tensors' names."""
    from edgedistill.models.weights import shapes as read_shapes

    shapes = read_shapes(path)
    blocks = {match[1] for name in shapes if (match := re.match(r"layer1\.(\d+)\.", name))}
    # Shapes of no dimension and of none at all count for nothing.
    widths = [(*shapes.get(f"layer{n}.0.conv1.weight", ()), 0)[0] for n in (1, 2, 3)]
    if not (blocks and all(widths) and shapes.get("linear.weight")):
        raise UserError(
            f"--teacher {path}: its tensors are not those of a CIFAR-style residual network",
            "name the model and give its weights apart: --teacher torchvision:resnet50 "
            f"--weights {path.name}",
        )
    if shapes["linear.weight"][0] != classes:
        raise UserError(
            f"--teacher {path}: answers for {shapes['linear.weight'][0]} classes, the data has "
            f"{classes}",
            "give the data that it was trained for, or a model that is fitted to this data",
        )
    shortcut = "conv" if any(".shortcut." in name for name in shapes) else "pad"
    return {
        "family": "resnet_cifar",
        "depth": 6 * len(blocks) + 2,
        "widths": widths,
        "shortcut": shortcut,
        "weights": path,
    }


# --- the text -------------------------------------------------------------------------------


def _yaml(keys: dict[str, Any], folder: Path) -> list[str]:
    """Keys as indented YAML; a JSON string is YAML too."""
    return [f"  {key}: {_value(value, folder)}" for key, value in keys.items()]


def _value(value: Any, folder: Path) -> str:
    if isinstance(value, Path):
        value = os.path.relpath(value.resolve(), folder)
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    """As YAML: plain where it would be read as the same text, else in YAML's own quotes (JSON's
    escapes of what lies outside the basic plane are others)."""
    import yaml

    if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./:-]*", text) and yaml.safe_load(text) == text:
        return text
    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return dumped.removesuffix("\n")


def _comment(text: str) -> str:
    """As it may stand in a comment, which a new line would end."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _name(found: Found, data: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data).resolve().name).strip("-") or "recipe"


def _image_size(found: Found, family: str) -> int:
    if found.keys["source"] == "digits":
        return 16
    if found.side is not None and 8 <= found.side <= 64:
        return found.side
    return 32 if family == "resnet_cifar" else 96


def _student(side: int) -> dict[str, Any]:
    if side <= 64:
        return {"family": "resnet_cifar", "depth": 8, "widths": [16, 32, 64], "shortcut": "conv"}
    return {"family": "torchvision", "name": "mobilenet_v3_small"}


def _data_lines(found: Found, side: int, folder: Path) -> list[str]:
    names = _comment(", ".join(found.classes[:6])) + (", ..." if len(found.classes) > 6 else "")
    seen = [f"{width}x{height}" for width, height in sorted(set(found.sizes))]
    sizes = ", ".join(seen[:3]) + (f" and {len(seen) - 3} other sizes" if len(seen) > 3 else "")
    unsplit = found.keys["source"] == "folder" and "test" not in found.keys
    return [
        f"# {found.images} images of {len(found.classes)} classes ({names}), "
        f"{'grey' if found.grey else 'color'}, {sizes}.",
        "data:",
        *_yaml(found.keys, folder),
        *(["  test_share: 0.2  # of `train`, set aside, as there is no test folder"] * unsplit),
        f"  image_size: {side}  # pixels, height and width, that the models see",
        f"  channels: {1 if found.grey else 3}",
        "  validation: 0.1  # share of the training images that choices are made on",
        f"  augment: {{shift: {side // 8}, flip: {'false' if found.grey else 'true'}}}"
        "  # flip: false where left and right matter",
    ]


def _teacher_lines(model: dict[str, Any], folder: Path) -> list[str]:
    lines = ["teacher:", *_yaml(model, folder)]
    if "weights" in model:
        lines += [
            "  # If the weights expect normalized pixels, say with what, channel by channel:",
            "  # mean: [0.485, 0.456, 0.406]",
            "  # std: [0.229, 0.224, 0.225]",
        ]
    return lines


def _stage_lines(model: dict[str, Any], found: Found) -> list[str]:
    lines = ["stages:"]
    if model.get("pretrained"):
        lines += ["  teacher:  # fit the pretrained model to these classes",
                  "    train: {epochs: 5, learning_rate: 0.01}"]  # fmt: skip
    elif "weights" not in model:
        lines += ["  teacher:  # no weights were given: train it here",
                  "    train: {epochs: 40, learning_rate: 0.1}"]  # fmt: skip
    epochs = 60 if found.images < 5_000 else 30
    return [
        *lines,
        f"  distill: {{epochs: {epochs}, learning_rate: 0.1}}",
        "  # prune: {speedup: 2}  # or macs (millions), or params (thousands)",
        "  quantize: {method: qat, epochs: 4}  # ptq: without training",
    ]


def _contract_lines(target: str) -> list[str]:
    return [
        f"# What must hold for {_comment(target)}; if missed, `edgedistill compile` exits with 1.",
        "contract:",
        "  max_drop: 3  # points below the teacher",
        "  # max_size_kb: 110",
        "  # max_latency_ms: 5",
    ]
