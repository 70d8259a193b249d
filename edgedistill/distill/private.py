"""Files that nobody but their owner may read: what a teacher answers tells of private images."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def owner_only(path: str, flags: int) -> int:
    """An `opener` for `open`: a file that it makes is its owner's alone from the beginning."""
    return os.open(path, flags, 0o600)


def make_folder(folder: Path) -> None:
    """Make a folder, and what is missing above it, for its owner alone."""
    if not folder.is_dir():
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_json(path: Path, value: Any) -> None:
    """As `artifact.write_json`, for the owner alone."""
    scratch = path.with_name(path.name + ".part")
    with open(scratch, "w", opener=owner_only) as file:
        file.write(json.dumps(value, indent=1, sort_keys=True, default=str) + "\n")
    os.replace(scratch, path)
