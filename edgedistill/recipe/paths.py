"""A recipe's relative paths, found from its file's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edgedistill.families.teachers import (
    ClipTeacher,
    HuggingFaceTeacher,
)
from edgedistill.recipe.data import (
    HuggingFaceData,
)
from edgedistill.recipe.transcription import WhisperTeacher

_NAMED = (HuggingFaceData, HuggingFaceTeacher, ClipTeacher, WhisperTeacher)
"""Configs whose `name` is a folder, or else a name on the hub."""


def with_absolute_paths(model: Any, base: Path) -> Any:
    """The config with each relative path from the folder `base`."""
    changes: dict[str, Path | str | tuple[Any, ...]] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path | BaseModel):
            changes[name] = _absolute(value, base)
        elif isinstance(model, _NAMED) and name == "name" and os.path.isdir(base / value):
            changes[name] = str(base / value)
        elif isinstance(value, tuple):
            changes[name] = tuple(_absolute(item, base) for item in value)
    return model.model_copy(update=changes) if changes else model


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, Path):
        return base / value.expanduser()
    return with_absolute_paths(value, base) if isinstance(value, BaseModel) else value
