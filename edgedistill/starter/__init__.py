"""A commented recipe to begin with, guessed from a user's own model and images."""

from __future__ import annotations

import os
from pathlib import Path

from edgedistill.data.sound.survey import look_for_sound
from edgedistill.data.survey import Found, look, path_of
from edgedistill.errors import UserError
from edgedistill.starter.models import model_keys, named, suggested, taken, weights_notes
from edgedistill.starter.sound import sound_lines, sound_models, sound_notes
from edgedistill.starter.speech import is_whisper, speech_lines
from edgedistill.starter.text import (
    Size,
    contract_lines,
    data_lines,
    first_lines,
    model_lines,
    size_in_words,
    stage_lines,
)
from edgedistill.target import load_target

__all__ = ["suggested", "write_recipe"]


def write_recipe(
    out: Path,
    teacher: str | None,
    weights: Path | None,
    data: str,
    target: str,
    student: str | None = None,
    student_weights: Path | None = None,
) -> list[str]:
    """Write a recipe to `out`; returns what it decided of itself. Without a `student`, one is
    suggested by the data and the target; of sound a teacher too.

    Raises UserError: `out` exists, or teacher, student, data or target cannot be made out, or
    weights do not fit.
    """
    if student_weights is not None and student is None:
        raise UserError(
            f"--student-weights {student_weights}: of which model?", "name it: --student"
        )
    folder = _new(out).parent
    load_target(target)
    if is_whisper(teacher) and student is None and weights is None:
        assert teacher is not None
        lines, notes = speech_lines(teacher, data, folder)
        _write(out, folder, [*first_lines(out, data), *lines])
        return notes
    heard = look_for_sound(path_of(data)) if data != "digits" else None
    if heard is not None:
        chosen = sound_models(heard, teacher, weights, student, student_weights)
        _write(out, folder, [*first_lines(out, data), *sound_lines(heard, chosen, folder)])
        return sound_notes(heard, student)
    if teacher is None:
        raise UserError("--teacher: which model answers?", "name it: --teacher timm:resnet18, say")
    lines, notes = _of_images(out, folder, teacher, weights, data, target, student, student_weights)
    _write(out, folder, lines)
    return notes


def _of_images(
    out: Path,
    folder: Path,
    teacher: str,
    weights: Path | None,
    data: str,
    target: str,
    student: str | None,
    student_weights: Path | None,
) -> tuple[list[str], list[str]]:
    """A recipe's lines, and what it decided of itself."""
    found = look(data)
    models = {"teacher": model_keys("--teacher", teacher, weights)}
    size = taken(models, found, _image_size(found, str(models["teacher"]["family"])))
    if student is None:
        models["student"] = suggested(
            found, size, load_target(target), bool(models["teacher"].get("pretrained"))
        )
    else:
        models["student"] = model_keys("--student", student, student_weights, pretrained=False)
    size = taken(models, found, size)
    notes, new_head = weights_notes(models, found, size)
    if student is None:
        notes.insert(0, f"student: {named(models['student'])}, suggested for {_seen(found)} of "
                        f"{size_in_words(size)} pixels; --student names another")  # fmt: skip
    lines = [
        *first_lines(out, data),
        *data_lines(found, size, folder),
        *model_lines("teacher", models["teacher"], folder),
        *model_lines("student", models["student"], folder),
        *stage_lines(models, found, new_head),
        *contract_lines(target),
    ]
    return lines, notes


def _write(out: Path, folder: Path, lines: list[str]) -> None:
    """Whole and valid, or not at all."""
    from edgedistill.recipe import load_recipe

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


def _seen(found: Found) -> str:
    return f"{found.images} {'grey' if found.grey else 'color'} images"


def _image_size(found: Found, family: str) -> Size:
    if found.keys["source"] == "digits":
        return 16, 16
    if found.size is not None and min(found.size) >= 8 and max(found.size) <= 64:
        return found.size
    return (32, 32) if family == "resnet_cifar" else (96, 96)
