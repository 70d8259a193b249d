"""A commented recipe to begin with, guessed from a user's own model and images."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from edgedistill.data.survey import Found, look
from edgedistill.errors import UserError
from edgedistill.signature import Inputs, image_inputs
from edgedistill.target import Target, load_target

Size = tuple[int, int]
"""(height, width) in pixels."""


def write_recipe(
    out: Path,
    teacher: str,
    weights: Path | None,
    data: str,
    target: str,
    student: str | None = None,
    student_weights: Path | None = None,
) -> list[str]:
    """Write a recipe to `out`; returns what it decided of itself. Without a `student`, one is
    suggested by the images and the target.

    Raises UserError: `out` exists, or teacher, student, data or target cannot be made out, or
    weights do not fit.
    """
    from edgedistill.recipe import load_recipe

    if student_weights is not None and student is None:
        raise UserError(
            f"--student-weights {student_weights}: of which model?", "name it: --student"
        )
    folder = _new(out).parent
    wanted = load_target(target)
    found = look(data)
    models = {"teacher": model_keys("--teacher", teacher, weights)}
    size = _taken(models, found, _image_size(found, models["teacher"]["family"]))
    if student is None:
        models["student"] = suggested(
            found, size, wanted, bool(models["teacher"].get("pretrained"))
        )
    else:
        models["student"] = model_keys("--student", student, student_weights, pretrained=False)
    size = _taken(models, found, size)
    notes, new_head = _weights_notes(models, found, size)
    if student is None:
        notes.insert(0, f"student: {_named(models['student'])}, suggested for {_seen(found)} of "
                        f"{_size(size)} pixels; --student names another")  # fmt: skip
    lines = [
        "# Written by `edgedistill init`: guesses to go over. Paths are relative to this file.",
        f"# `edgedistill check {_comment(out.name)}` shows the plan,",
        "# `edgedistill schema` every key.",
        f"name: {_name(found, data)}",
        *_data_lines(found, size, folder),
        *_model_lines("teacher", models["teacher"], folder),
        *_model_lines("student", models["student"], folder),
        *_stage_lines(models, found, new_head),
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
    return notes


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


# --- models ---------------------------------------------------------------------------------


def model_keys(
    option: str, given: str, weights: Path | None, pretrained: bool = True
) -> dict[str, Any]:
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


def suggested(found: Found, size: Size, target: Target, pretrained: bool) -> dict[str, Any]:
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


def _named(model: dict[str, Any]) -> str:
    return f"{model['family']}:{model.get('name') or model.get('depth')}"


def _seen(found: Found) -> str:
    return f"{found.images} {'grey' if found.grey else 'color'} images"


def _weights_notes(
    models: dict[str, dict[str, Any]], found: Found, size: Size
) -> tuple[list[str], set[str]]:
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


def _from_weights(option: str, path: Path) -> dict[str, Any]:
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


def _image_size(found: Found, family: str) -> Size:
    if found.keys["source"] == "digits":
        return 16, 16
    if found.size is not None and min(found.size) >= 8 and max(found.size) <= 64:
        return found.size
    return (32, 32) if family == "resnet_cifar" else (96, 96)


def _size(size: Size) -> str:
    """In words: one number where both are the same."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def _inputs(found: Found, size: Size) -> Inputs:
    return image_inputs(1 if found.grey else 3, *size)


def _taken(models: dict[str, dict[str, Any]], found: Found, size: Size) -> Size:
    """The images' size, or the next usual one that the libraries' models take; where they take
    none, `check` tells why."""
    libraries = [keys for keys in models.values() if keys["family"] in ("torchvision", "timm")]
    larger = ((side, side) for side in (32, 64, 96, 128, 224, 299) if side > max(size))
    return next((each for each in (size, *larger) if _take(libraries, found, each)), size)


def _take(models: list[dict[str, Any]], found: Found, size: Size) -> bool:
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


def _data_lines(found: Found, size: Size, folder: Path) -> list[str]:
    height, width = size
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
        f"  image_size: {height if height == width else [height, width]}"
        "  # pixels, height and width, that the models see",
        f"  channels: {1 if found.grey else 3}",
        "  validation: 0.1  # share of the training images that choices are made on",
        f"  augment: {{shift: {min(size) // 8}, flip: {'false' if found.grey else 'true'}}}"
        "  # flip: false where left and right matter",
    ]


def _model_lines(role: str, model: dict[str, Any], folder: Path) -> list[str]:
    lines = [f"{role}:", *_yaml(model, folder)]
    if "weights" in model:
        lines += [
            "  # If the weights expect normalized pixels, say with what, channel by channel:",
            "  # mean: [0.485, 0.456, 0.406]",
            "  # std: [0.229, 0.224, 0.225]",
        ]
    return lines


def _stage_lines(models: dict[str, dict[str, Any]], found: Found, new_head: set[str]) -> list[str]:
    batch = 32 if found.images < 2_000 else 128
    # What is pretrained would be lost at the rates that a model from nothing wants.
    tuned = "optimizer: adamw, learning_rate: 0.001"
    lines = ["stages:"]
    if "teacher" in new_head:
        lines.append("  teacher:  # fit the pretrained model to these classes")
        lines.append(f"    train: {{epochs: 5, batch_size: {batch}, {tuned}}}")
    elif "weights" not in models["teacher"]:
        lines.append("  teacher:  # no weights were given: train it here")
        lines.append(f"    train: {{epochs: 40, batch_size: {batch}, learning_rate: 0.1}}")
    student = models["student"]
    epochs = 60 if found.images < 5_000 else 30
    rate = f"learning_rate: {0.1 if student['family'] == 'resnet_cifar' else 0.05}"
    if student.get("pretrained") or "weights" in student:
        epochs, rate = epochs // 3, tuned
    return [
        *lines,
        f"  distill: {{epochs: {epochs}, batch_size: {batch}, {rate}}}",
        "  # prune: {speedup: 2}  # or macs (millions), or params (thousands)",
        f"  quantize: {{method: qat, epochs: 4, batch_size: {batch}}}  # ptq: without training",
    ]


def _contract_lines(target: str) -> list[str]:
    return [
        f"# What must hold for {_comment(target)}; if missed, `edgedistill compile` exits with 1.",
        "contract:",
        "  max_drop: 3  # points below the teacher",
        "  # max_size_kb: 110",
        "  # max_latency_ms: 5",
    ]
