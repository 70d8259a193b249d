"""The files that a user's function lies in and imports, found and told apart; none is run."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from edgedistill.artifact import file_digest, text_digest
from edgedistill.errors import UserError
from edgedistill.usercode.guard import running


def split(reference: str, where: str) -> tuple[str, str]:
    """The module and the function of `module:function`. Raises UserError: badly formed."""
    module, colon, function = reference.partition(":")
    if not (module and colon and function):
        raise UserError(
            f"{where}: `{reference}` is not of the form `module:function`",
            "e.g. `my_models:student` for the function `student` in my_models.py",
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return module, function


def source_file(reference: str, where: str) -> Path:
    """The file that `module:function` lies in, found without importing it, whatever was imported
    before.

    Raises UserError: badly formed, or no such module.
    """
    module, _ = split(reference, where)
    importlib.invalidate_caches()
    parent = module.rpartition(".")[0]
    # A package that the import path alone does not lead into is imported for it.
    with running(f"importing `{parent}`", where, f"`python -c 'import {parent}'` shows where"):
        try:
            spec = _spec(module) or importlib.util.find_spec(module)
        except (ImportError, ValueError):
            spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise UserError(
            f"{where}: no module `{module}` (from `{reference}`)",
            "put the file beside the recipe or into the current folder, or install its package",
        )
    return Path(spec.origin)


def _spec(module: str) -> ModuleSpec | None:
    """By the import path alone: `importlib.util.find_spec` would look at what is imported."""
    spec, places = None, None
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), places)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    return spec


def source_digest(reference: str, where: str) -> str:
    """Digest of the file that `module:function` lies in, and of the files beside it that it
    imports, directly or by way of others; none is run.

    It is of what they do: comments, docstrings and layout count only where some code looks at
    them. Of an installed package it is the file and the package's version. What is imported by a
    name that is put together, or read while running, is not seen. Raises UserError as
    `source_file`.
    """
    sources = sources_of(reference, where)
    name, file = next(iter(sources.items()))
    if is_installed(root_of(file, name)):
        return digest_of(sources)
    trees = {name: _tree(path) for name, path in sources.items()}
    if any(_looks_at_sources(tree) for tree in trees.values() if tree):
        return digest_of(sources)
    files = {
        name: _meaning(tree, sources[name]) if tree else file_digest(sources[name])
        for name, tree in trees.items()
    }
    return text_digest(files)


def digest_of(sources: dict[str, Path]) -> str:
    """Of the files to the last byte."""
    files = {name: file_digest(path) for name, path in sources.items()}
    return text_digest([files, _version(next(iter(sources)))])


def _tree(path: Path) -> ast.Module | None:
    """None for what is no Python text, or not a right one."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: of deep nesting
        return None


_TELLING = {"__doc__", "getdoc", "inspect", "linecache", "tokenize", "docopt", "jit"}
"""Names by which code reads comments and docstrings, its own or another's; torch's `jit.script`
reads types in comments."""


def _looks_at_sources(tree: ast.Module) -> bool:
    return any(
        bool(_TELLING & set(str(value).split(".")))
        for node in ast.walk(tree)
        for _, value in ast.iter_fields(node)
        if isinstance(value, str)
    )


def _meaning(tree: ast.Module, path: Path) -> str:
    """Digest of a file's syntax tree, which is left without its docstrings, wherever its lines
    stand; of the file itself where it is nested too deeply."""
    for node in ast.walk(tree):
        kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    try:
        return text_digest(ast.dump(tree))
    except RecursionError:
        return file_digest(path)


def distributions(reference: str, where: str) -> set[str]:
    """The installed packages that `module:function` and the files beside it import, the function's
    own among them; those of Python itself are not. Raises UserError as `source_file`."""
    sources = sources_of(reference, where)
    named = {name.partition(".")[0] for module, path in sources.items()
             for name in (module, *_imported(path, module))}  # fmt: skip
    found: set[str] = set()
    for name in named - sys.stdlib_module_names - {"edgedistill"}:
        found.update([name] if _version(name) else _packages().get(name, []))
    return found


@cache
def _packages() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _version(module: str) -> str | None:
    try:
        return metadata.version(module.partition(".")[0])
    except metadata.PackageNotFoundError:
        return None


def sources_of(reference: str, where: str) -> dict[str, Path]:
    """The files that `source_digest` is of, by their modules' names."""
    file, (module, _) = source_file(reference, where), split(reference, where)
    root, found = root_of(file, module), {module: file}
    waiting = [] if is_installed(root) else list(_imported(file, module))
    while waiting:
        name = waiting.pop()
        path = _file(root, name)
        if path is None or name in found or name.partition(".")[0] == "edgedistill":
            continue
        found[name] = path
        waiting += _imported(path, name)
    return found


def root_of(file: Path, module: str) -> Path:
    """The folder that the module's topmost package lies in."""
    return file.parents[module.count(".") + (file.name == "__init__.py")]


def is_installed(root: Path) -> bool:
    """Whether packages are installed into this folder."""
    return root in map(Path, sysconfig.get_paths().values())


def _file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
    return next((path for path in candidates if path.is_file()), None)


def _imported(path: Path, module: str) -> Iterator[str]:
    """What a file may import: its packages, and each name that an `import` mentions."""
    tree = _tree(path)
    if tree is None:
        return  # importing it will say so, unless it is compiled
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
