"""A user's own `module:function`, named in a recipe: the only code that a recipe can run."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgedistill.artifact import file_digest, text_digest
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


def source_digest(reference: str, where: str) -> str:
    """Digest of the file that `module:function` lies in, and of the files beside it that it
    imports, directly or by way of others; none is run.

    Installed packages are followed no further than their own files. What is imported by a name
    that is put together, or read while running, is not seen. Raises UserError as `source_file`.
    """
    file, (module, _) = source_file(reference, where), _split(reference, where)
    root = file.parents[module.count(".") + (file.name == "__init__.py")]
    installed = root in map(Path, sysconfig.get_paths().values())
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(root, name)
        foreign = installed and name.partition(".")[0] != module.partition(".")[0]
        if path is None or foreign or name in found:
            continue
        found[name] = file_digest(path)
        waiting += _imported(path, name)
    return text_digest(found)


def _file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
    return next((path for path in candidates if path.is_file()), None)


def _imported(path: Path, module: str) -> Iterator[str]:
    """What a file may import: its packages, and each name that an `import` mentions."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return  # importing it will say so
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = [*(above if node.level else ()), *filter(None, [node.module])]
            names = [".".join([*parts, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            steps = name.split(".")
            yield from (".".join(steps[:end]) for end in range(1, len(steps) + 1))
    yield from (package.rsplit(".", up)[0] for up in range(package.count(".") + 1) if package)


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
