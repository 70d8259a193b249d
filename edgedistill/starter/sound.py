"""A commented recipe to begin with for recordings of words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edgedistill.data.sound.survey import FoundSound
from edgedistill.errors import UserError
from edgedistill.starter.text import Keys, in_comment, model_lines, yaml_lines
from edgedistill.tasks import TASKS

TEACHER, STUDENT = "ds_cnn:172", "ds_cnn:64"
"""The medium and the small one of Zhang et al. 2017."""
LISTED = "ds_cnn:WIDTH, bc_resnet:SCALE, keyword_transformer, huggingface:NAME or MODULE:FUNCTION"
_NO_MODULES = ("ds_cnn", "bc_resnet", "huggingface", "resnet_cifar", "torchvision", "timm")
SEVERAL = 2_000
"""Clips; fewer are trained on in smaller batches, and oftener."""


def sound_models(
    found: FoundSound,
    teacher: str | None,
    weights: Path | None,
    student: str | None,
    student_weights: Path | None,
) -> dict[str, Keys]:
    """The recipe's models, by role. Raises UserError: one cannot be made out."""
    teacher = TEACHER if teacher is None else teacher
    student = STUDENT if student is None else student
    return {
        "teacher": _keys("--teacher", teacher, weights, found.rate),
        "student": _keys("--student", student, student_weights, found.rate),
    }


def _keys(option: str, given: str, weights: Path | None, rate: int) -> Keys:
    own: Keys = {"weights": weights} if weights else {}
    heard: Keys = {} if rate == 16_000 else {"front_end": {"rate": rate}}
    family, colon, name = given.partition(":")
    if family == "ds_cnn" and re.fullmatch("[0-9]{1,4}", name):
        pool: Keys = {} if weights else {"pool": "depthwise"}
        return {"family": family, "width": int(name), **pool, **heard, **own}
    if family == "bc_resnet" and re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,2})?", name):
        return {"family": family, "scale": float(name), **heard, **own}
    if given == "keyword_transformer":
        return {"family": family, **heard, **own}
    if family == "huggingface" and name and option == "--teacher" and not weights:
        return {"family": family, "name": name}
    if family and colon and name and family not in _NO_MODULES:
        return {"family": "function", "function": given, **own}
    raise UserError(f"{option} {given}: no model of sound", LISTED)


def sound_lines(found: FoundSound, models: Mapping[str, Keys], folder: Path) -> list[str]:
    """All of the recipe but its first lines; its paths from `folder`."""
    return [
        f"task: {next(name for name, task in TASKS.items() if task.listens)}",
        *_data_lines(found, folder),
        *model_lines("teacher", models["teacher"], folder, pictures=False),
        *model_lines("student", models["student"], folder, pictures=False),
        *_stage_lines(found, models),
        "# What must hold; if missed, `edgedistill compile` exits with 1.",
        "contract:",
        "  max_drop: 3  # points below the teacher, over all windows",
        "  # max_misses: 5  # percent of the words, in long audio",
        "  # max_false_accepts_per_hour: 1",
        "  # max_hop_ms: 5  # of one step of the stream",
        "  # max_size_kb: 60",
    ]


def _data_lines(found: FoundSound, folder: Path) -> list[str]:
    names = in_comment(", ".join(found.classes[:6])) + (", ..." if len(found.classes) > 6 else "")
    rates = ", ".join(f"{rate} Hz" for rate in found.rates[:3])
    paths = {"negatives": list(found.negatives), "noise": list(found.noise)}
    lines = [
        f"# {found.clips} clips of {len(found.classes)} classes ({names}), {rates}, up to "
        f"{found.longest:.1f} s long.",
        "data:",
        *yaml_lines(found.keys, folder),
    ]
    if "test" not in found.keys:
        lines.append("  test_share: 0.2  # of `train`, set aside, as there is no test set")
    if "speaker" not in found.keys and found.keys["source"] != "folder":
        lines.append("  # speaker: COLUMN  # all of a speaker's clips go to one split")
    return [
        *lines,
        "  validation: 0.1  # share of the training clips that choices are made on",
        "  sound:",
        f"    rate: {found.rate}  # samples a second that the models hear",
        f"    seconds: {found.seconds:g}  # of the window that they hear; most of the words are "
        "shorter",
        "    cut: spoken  # of a longer clip, what ends where the word ends; or end, or middle",
        "    # Speech and sound without these words, hours of it: the class `unknown`, and what",
        "    # false accepts are counted in. Folders, parquet files or manifests.",
        *yaml_lines({"negatives": paths["negatives"]}, folder, 4),
        "    # Sound without speech: mixed into training clips, and the class `silence`.",
        *yaml_lines({"noise": paths["noise"]}, folder, 4),
        "    augment: {shift_ms: 100, gain_db: 6, speed: 0.1, noise: 0.5, snr_db: [5, 20]}",
    ]


def _stage_lines(found: FoundSound, models: Mapping[str, Keys]) -> list[str]:
    batch, epochs = (32, 100) if found.clips < SEVERAL else (64, 40)
    rate = f"batch_size: {batch}, optimizer: adamw, learning_rate: 0.001"
    lines = ["stages:"]
    teacher = models["teacher"]
    if "weights" not in teacher and teacher["family"] != "huggingface":
        lines.append("  teacher:  # no weights were given: train it here")
        lines.append(f"    train: {{epochs: 30, {rate}}}")
    return [
        *lines,
        f"  distill: {{epochs: {epochs}, {rate}}}",
        "  # prune: {speedup: 2}  # or macs (millions), or params (thousands)",
        f"  quantize: {{method: auto, epochs: 4, batch_size: {batch}}}  # trains where it pays",
    ]


def sound_notes(found: FoundSound, student: str | None) -> list[str]:
    """What the recipe decided of itself, and what it lacks."""
    notes = []
    if student is None:
        notes.append(f"student: {STUDENT}, suggested for {found.clips} clips; --student names "
                     "another")  # fmt: skip
    if not found.negatives:
        notes.append(
            "no recordings without these words were found: give hours of them under "
            "`data.sound.negatives`, or whatever is said is taken for one of the words"
        )
    return notes
