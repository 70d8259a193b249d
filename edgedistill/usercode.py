"""A user's own `module:function`, named in a recipe: the only code that a recipe can run."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from edgedistill.artifact import file_digest, text_digest
from edgedistill.errors import UserError, in_short, nearest, out_of_resources


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
    """Let `module:function` name a Python file in `folder` (a recipe's own), before all others."""
    while str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))


@contextmanager
def running(what: str, where: str, hint: str = "") -> Iterator[None]:
    """Around each step of a user's own code, which may raise anything and end anywhere: its call,
    and each item of what it yields.

    Raises UserError: `what` failed, with the file and line of the user's that it failed in; also
    where it would end the program. Ctrl-C, and memory and disk that are used up, pass as they are.

    what: for messages, e.g. "`my_data:samples`"; where: the recipe's key, e.g. `data.function`.
    """
    try:
        with _without_exit():
            yield
    except (UserError, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        if isinstance(error, Exception) and out_of_resources(error) is not None:
            raise
        raise UserError(
            f"{where}: {what} failed{_place(error)}: {in_short(error)}", hint
        ) from error


def own_fault(error: BaseException) -> UserError | None:
    """An error that came through the user's own code, such as a model's forward, as theirs; None
    for any other."""
    place = _place(error)
    if not place:
        return None
    hint = "mend it there; the same command then goes on from what is done"
    return UserError(f"your own code failed{place}: {in_short(error)}", hint)


@contextmanager
def _without_exit() -> Iterator[None]:
    """Let `os._exit`, which no handler sees, end no more than the processes that a user's code
    forks: the exit code would be taken for what became of the command."""
    ours, exit_ = os.getpid(), os._exit

    def refuse(code: int) -> None:
        if os.getpid() != ours:
            exit_(code)
        raise SystemExit(code)

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = exit_


def _place(error: BaseException) -> str:
    """The last line of the user's own that an error came through."""
    frames = [
        (frame.f_code.co_filename, at) for frame, at in traceback.walk_tb(error.__traceback__)
    ]
    for name, line in reversed(frames):
        if _is_own(Path(name)):
            return f" in {Path(name).name} line {line}"
    return ""


def _is_own(file: Path) -> bool:
    libraries = [*map(Path, sysconfig.get_paths().values()), Path(__file__).parent]
    return file.is_file() and not any(file.is_relative_to(each) for each in libraries)


def source_file(reference: str, where: str) -> Path:
    """The file that `module:function` lies in, found without importing it, whatever was imported
    before.

    Raises UserError: badly formed, or no such module.
    """
    module, _ = _split(reference, where)
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
    sources = _sources(reference, where)
    name, file = next(iter(sources.items()))
    if _is_installed(_root(file, name)):
        return _digest(sources)
    trees = {name: _tree(path) for name, path in sources.items()}
    if any(_looks_at_sources(tree) for tree in trees.values() if tree):
        return _digest(sources)
    files = {
        name: _meaning(tree, sources[name]) if tree else file_digest(sources[name])
        for name, tree in trees.items()
    }
    return text_digest(files)


def _digest(sources: dict[str, Path]) -> str:
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
    sources = _sources(reference, where)
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


def _sources(reference: str, where: str) -> dict[str, Path]:
    """The files that `source_digest` is of, by their modules' names."""
    file, (module, _) = source_file(reference, where), _split(reference, where)
    root, found = _root(file, module), {module: file}
    waiting = [] if _is_installed(root) else list(_imported(file, module))
    while waiting:
        name = waiting.pop()
        path = _file(root, name)
        if path is None or name in found or name.partition(".")[0] == "edgedistill":
            continue
        found[name] = path
        waiting += _imported(path, name)
    return found


def _root(file: Path, module: str) -> Path:
    """The folder that the module's topmost package lies in."""
    return file.parents[module.count(".") + (file.name == "__init__.py")]


def _is_installed(root: Path) -> bool:
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


_LOADED: dict[str, str] = {}
"""Digests of what was imported here, by the module's name."""


def load_function(reference: str, where: str) -> Callable[..., Any]:
    """Import `module:function`, anew where its files are no longer what was imported before.

    Raises UserError: no such module or function, or its import fails.

    where: the recipe's key, for messages, e.g. `student.function`.
    """
    name, function = _split(reference, where)
    sources = _sources(reference, where)
    loaded = _loaded(sources)
    if not _are_current(name, sources, loaded):
        for each in loaded:
            del sys.modules[each]
    with running(f"importing `{name}`", where, f"`python -c 'import {name}'` shows where"):
        module = importlib.import_module(name)
        found = getattr(module, function, None)  # a module may have a `__getattr__` of its own
    _LOADED[name] = _digest(sources)
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
        if file is not None and not _is_installed(_root(Path(file), name)):
            found[name] = Path(file)
    return found


def _are_current(name: str, sources: dict[str, Path], loaded: dict[str, Path]) -> bool:
    """Whether what was imported is what the files say now: else a result would be kept under the
    name of code that did not make it."""
    if any(file.resolve() != sources[each].resolve() for each, file in loaded.items()):
        return False
    if name in loaded and name in _LOADED:
        return _LOADED[name] == _digest(sources)
    import psutil

    began = psutil.Process().create_time()
    return all(file.stat().st_mtime < began for file in loaded.values())
