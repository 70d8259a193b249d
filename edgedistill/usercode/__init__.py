"""A user's own `module:function`, named in a recipe: the only code that a recipe can run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgedistill.errors import UserError, nearest
from edgedistill.usercode.guard import own_fault, running
from edgedistill.usercode.sources import (
    digest_of,
    distributions,
    is_installed,
    root_of,
    source_digest,
    source_file,
    sources_of,
    split,
)

__all__ = [
    "distributions",
    "load_function",
    "make_importable",
    "own_fault",
    "running",
    "source_digest",
    "source_file",
]


def make_importable(folder: Path) -> None:
    """Let `module:function` name a Python file in `folder` (a recipe's own), before all others."""
    while str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))


_LOADED: dict[str, str] = {}
"""Digests of what was imported here, by the module's name."""


def load_function(reference: str, where: str) -> Callable[..., Any]:
    """Import `module:function`, anew where its files are no longer what was imported before.

    Raises UserError: no such module or function, or its import fails.

    where: the recipe's key, for messages, e.g. `student.function`.
    """
    name, function = split(reference, where)
    sources = sources_of(reference, where)
    loaded = _loaded(sources)
    if not _are_current(name, sources, loaded):
        for each in loaded:
            del sys.modules[each]
    with running(f"importing `{name}`", where, f"`python -c 'import {name}'` shows where"):
        module = importlib.import_module(name)
        found = getattr(module, function, None)  # a module may have a `__getattr__` of its own
    _LOADED[name] = digest_of(sources)
    if not callable(found):
        functions = [
            key for key, value in getattr(module, "__dict__", {}).items() if callable(value)
        ]
        raise UserError(
            f"{where}: `{name}` has no function `{function}`", nearest(function, functions)
        )
    return found  # type: ignore[no-any-return]


def _loaded(sources: dict[str, Path]) -> dict[str, Path]:
    """The files that modules of these names were imported from, but for installed ones."""
    found = {}
    for name in sources:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not is_installed(root_of(Path(file), name)):
            found[name] = Path(file)
    return found


def _are_current(name: str, sources: dict[str, Path], loaded: dict[str, Path]) -> bool:
    """Whether what was imported is what the files say now: else a result would be kept under the
    name of code that did not make it."""
    if any(file.resolve() != sources[each].resolve() for each, file in loaded.items()):
        return False
    if name in loaded and name in _LOADED:
        return _LOADED[name] == digest_of(sources)
    import psutil

    began = psutil.Process().create_time()
    return all(file.stat().st_mtime < began for file in loaded.values())
