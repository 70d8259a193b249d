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

_NAMED = (HuggingFaceData, HuggingFaceTeacher, ClipTeacher)
"""Configs whose `name` is a folder, or else a name on the hub."""


def with_absolute_paths(model: Any, base: Path) -> Any:
    """The config with each relative path from the folder `base`."""
    changes: dict[str, Path | str | tuple[Any, ...]] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path):
            changes[name] = base / value.expanduser()
        elif isinstance(model, _NAMED) and name == "name" and os.path.isdir(base / value):
            changes[name] = str(base / value)
        elif isinstance(value, BaseModel):
            changes[name] = with_absolute_paths(value, base)
        elif isinstance(value, tuple):
            changes[name] = tuple(
                with_absolute_paths(item, base) if isinstance(item, BaseModel) else item
                for item in value
            )
    return model.model_copy(update=changes) if changes else model
