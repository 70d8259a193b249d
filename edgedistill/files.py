"""Small files that somebody else wrote, read without trust in what they are."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from edgedistill.errors import UserError

MOST = 16 << 20
"""Bytes that a document may have, where its reader does not say."""


def check_regular(path: Path, what: str, hint: str = "check the path") -> None:
    """Raises UserError: `path` is not there, cannot be looked at, or is no regular file (a folder;
    a pipe, which would be waited for without end)."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{what} not found: {path}", hint) from None
    except (OSError, ValueError) as error:  # too long a name, a loop of links; a null character
        told = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{what} cannot be opened: {str(path)[:200]}: {told}", hint) from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise UserError(f"{path}: is {kind}; {what} is meant", hint)


def read_text(path: Path, what: str, hint: str, most: int = MOST) -> str:
    """The text (UTF-8) of a regular file of at most `most` bytes.

    Raises UserError: there is none, it is larger, or no text.
    """
    check_regular(path, what, hint)
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}", hint) from None
    if len(content) > most:
        raise UserError(f"{path}: is larger than {most / 1e6:g} MB, too large for {what}", hint)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no UTF-8 text (byte {error.start})", hint) from None


def read_json_file(path: Path, what: str, hint: str, most: int = MOST) -> Any:
    """The document in a JSON file. Raises UserError as `read_text`, or where it is no JSON."""
    text = read_text(path, what, hint, most)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UserError(f"{path}: not valid JSON: {said[:200]}", hint) from None
