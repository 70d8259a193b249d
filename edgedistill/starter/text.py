"""The lines of a recipe that `init` writes."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

from edgedistill.data.survey import Found
from edgedistill.data.survey import Keys as DataKeys

Size = tuple[int, int]
"""(height, width) in pixels."""
Keys = dict[str, Any]
"""Of a model or of data, as a recipe has them: text, numbers, paths, and lists of these."""


def yaml_lines(keys: Keys | DataKeys, folder: Path, indent: int = 2) -> list[str]:
    """Keys as indented YAML, paths from `folder`; a JSON string is YAML too."""
    return [f"{' ' * indent}{key}: {_value(value, folder)}" for key, value in keys.items()]


def _value(value: Any, folder: Path) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(each, folder) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_value(each, folder)}' for key, each in value.items())}}}"
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


def in_comment(text: str) -> str:
    """As it may stand in a comment, which a new line would end."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def recipe_name(data: str) -> str:
    """After the data's folder or file."""
    place = Path(data).resolve()
    name = place.name if place.is_dir() else place.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "recipe"


def first_lines(out: Path, data: str) -> list[str]:
    """What the recipe is, and its name."""
    return [
        "# Written by `edgedistill init`: guesses to go over. Paths are relative to this file.",
        f"# `edgedistill check {in_comment(out.name)}` shows the plan,",
        "# `edgedistill schema` every key.",
        f"name: {recipe_name(data)}",
    ]


def size_in_words(size: Size) -> str:
    """In words: one number where both are the same."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def data_lines(found: Found, size: Size, folder: Path) -> list[str]:
    """The recipe's `data`; its paths from `folder`."""
    height, width = size
    names = in_comment(", ".join(found.classes[:6])) + (", ..." if len(found.classes) > 6 else "")
    seen = [f"{width}x{height}" for width, height in sorted(set(found.sizes))]
    sizes = ", ".join(seen[:3]) + (f" and {len(seen) - 3} other sizes" if len(seen) > 3 else "")
    unsplit = found.keys["source"] == "folder" and "test" not in found.keys
    return [
        f"# {found.images} images of {len(found.classes)} classes ({names}), "
        f"{'grey' if found.grey else 'color'}, {sizes}.",
        "data:",
        *yaml_lines(found.keys, folder),
        *(["  test_share: 0.2  # of `train`, set aside, as there is no test folder"] * unsplit),
        f"  image_size: {height if height == width else [height, width]}"
        "  # pixels, height and width, that the models see",
        f"  channels: {1 if found.grey else 3}",
        "  validation: 0.1  # share of the training images that choices are made on",
        f"  augment: {{shift: {min(size) // 8}, flip: {'false' if found.grey else 'true'}}}"
        "  # flip: false where left and right matter",
    ]


def model_lines(role: str, model: Keys, folder: Path, pictures: bool = True) -> list[str]:
    """The recipe's `teacher` or `student`; its paths from `folder`."""
    lines = [f"{role}:", *yaml_lines(model, folder)]
    if "weights" in model and pictures:
        lines += [
            "  # If the weights expect normalized pixels, say with what, channel by channel:",
            "  # mean: [0.485, 0.456, 0.406]",
            "  # std: [0.229, 0.224, 0.225]",
        ]
    return lines


def stage_lines(models: dict[str, Keys], found: Found, new_head: set[str]) -> list[str]:
    """The recipe's `stages`; new_head: roles of the models whose output layer is new."""
    batch = 32 if found.images < 2_000 else 128
    # What is pretrained would be lost at the rates that a model from nothing wants, and of few
    # images the statistics of batch norm, too.
    few = found.images < FEW
    tuned = f"optimizer: adamw, learning_rate: {0.0003 if few else 0.001}"
    tuned += ", freeze_batch_norm: true" if few else ""
    lines = ["stages:"]
    if "teacher" in new_head:
        lines.append("  teacher:  # fit the pretrained model to these classes")
        passes = _passes(5, TEACHER_STEPS, found.images, batch)
        lines.append(f"    train: {{epochs: {passes}, batch_size: {batch}, {tuned}}}")
    elif "weights" not in models["teacher"]:
        lines.append("  teacher:  # no weights were given: train it here")
        lines.append(f"    train: {{epochs: 40, batch_size: {batch}, learning_rate: 0.1}}")
    student = models["student"]
    epochs = 60 if few else 30
    rate = f"learning_rate: {0.2 if student['family'] == 'resnet_cifar' else 0.05}"
    if student.get("pretrained") or "weights" in student:
        epochs, rate = epochs // 3, tuned
    epochs = _passes(epochs, STUDENT_STEPS, found.images, batch)
    return [
        *lines,
        f"  distill: {{epochs: {epochs}, batch_size: {batch}, {rate}}}",
        "  # prune: {speedup: 2}  # or macs (millions), or params (thousands)",
        f"  quantize: {{method: auto, epochs: 4, batch_size: {batch}}}  # trains where it pays",
    ]


FEW = 5_000
"""Fewer images are looked at twice as often, and leave a pretrained model's batch norms alone."""

TEACHER_STEPS, STUDENT_STEPS = 100, 150
"""With fewer a new output layer does not fit yet, by `benchmarks.defaults --trial`; a student takes
some more than its teacher."""


def _passes(usual: int, steps: int, images: int, batch: int) -> int:
    """Over the training images: of few, as many as make so many steps."""
    return max(usual, math.ceil(steps * batch / images))


def contract_lines(target: str) -> list[str]:
    """The recipe's `contract`."""
    return [
        f"# What must hold for {in_comment(target)}; if missed, "
        "`edgedistill compile` exits with 1.",
        "contract:",
        "  max_drop: 3  # points below the teacher",
        "  # max_size_kb: 110",
        "  # max_latency_ms: 5",
    ]
