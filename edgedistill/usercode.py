"""A user's own `module:function`, named in a recipe: the only code that a recipe can run."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgedistill.errors import UserError, nearest


def _split(reference: str, where: str) -> tuple[str, str]:
    module, colon, function = reference.partition(":")
    if not (module and colon and function):
        raise UserError(
            f"{where}: `{reference}` is not of the form `module:function`",
            "e.g. `my_models:student` for the function `student` in my_models.py",
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return module, function


def make_importable(folder: Path) -> None:
    """Let `module:function` name a Python file in `folder` (a recipe's own)."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def source_file(reference: str, where: str) -> Path:
    """The file that `module:function` lies in, found without importing it.

    Raises UserError: badly formed, or no such module.
    """
    module, _ = _split(reference, where)
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise UserError(
            f"{where}: no module `{module}` (from `{reference}`)",
            "put the file beside the recipe or into the current folder, or install its package",
        )
    return Path(spec.origin)


def load_function(reference: str, where: str) -> Callable[..., Any]:
    """Import `module:function`. Raises UserError: no such module or function, or its import fails.

    where: the recipe's key, for messages, e.g. `student.function`.
    """
    name, function = _split(reference, where)
    source_file(reference, where)
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise UserError(
            f"{where}: importing `{name}` failed: {type(error).__name__}: {error}",
            f"`python -c 'import {name}'` shows where",
        ) from error
    found = getattr(module, function, None)
    if not callable(found):
        functions = [key for key, value in vars(module).items() if callable(value)]
        raise UserError(
            f"{where}: `{name}` has no function `{function}`", nearest(function, functions)
        )
    return found  # type: ignore[no-any-return]
