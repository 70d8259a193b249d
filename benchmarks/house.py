"""How hard the code is to inherit, in counts: what is untyped, unexplained or too long.

python -m benchmarks.house            the counts of this tree
python -m benchmarks.house --list     and where each of them is
python -m benchmarks.house --before COMMIT    write `results/house.json`, both side by side
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import write

ROOT = Path(__file__).parents[1]
LONG_FUNCTION, LONG_FILE = 60, 300
Found = Iterator[tuple[int, str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def untyped_mappings(tree: ast.Module, _: Path) -> Found:
    """`dict[str, Any]` and its like in annotations and aliases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _name(node.value) in ("dict", "Mapping"):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if _name(parts[-1]) in ("Any", "object"):
                yield node.lineno, ast.unparse(node)


def comparisons_of_the_task(tree: ast.Module, path: Path) -> Found:
    """Branches on the task's name outside `tasks/`."""
    if path.parts[0] == "tasks":
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_name(side).split(".")[-1] == "task" for side in _flat(sides)):
                yield node.lineno, ast.unparse(node)


def _flat(sides: list[ast.expr]) -> Iterator[ast.expr]:
    for side in sides:
        yield from side.elts if isinstance(side, ast.Tuple) else [side]


def reads_of_another_stages_json(tree: ast.Module, _: Path) -> Found:
    """`artifact.json("data.json")`, whatever is read of it, and `artifact.metrics["macs"]`."""
    for node in ast.walk(tree):
        method = node.func if isinstance(node, ast.Call) else None
        if isinstance(method, ast.Attribute) and isinstance(node, ast.Call) and node.args:
            by_name = isinstance(node.args[0], ast.Constant) and method.attr == "json"
            if by_name or (method.attr == "get" and _is_metrics(method.value)):
                yield node.lineno, ast.unparse(node)
        if isinstance(node, ast.Subscript) and _is_metrics(node.value):
            yield node.lineno, ast.unparse(node)


def _is_metrics(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "metrics"


def public_without_docstring(tree: ast.Module, path: Path) -> Found:
    """Functions and methods that another file may call; a one-line property needs no words."""
    if path.name.startswith("_"):
        return
    owners: list[ast.Module | ast.ClassDef] = [tree]
    for owner in owners + [each for each in tree.body if isinstance(each, ast.ClassDef)]:
        for node in owner.body:
            if not isinstance(node, Function) or _private(owner, node):
                continue
            if ast.get_docstring(node) is None and not _is_short_property(node):
                yield node.lineno, node.name


def _is_short_property(node: Function) -> bool:
    return len(node.body) == 1 and "property" in map(_name, node.decorator_list)


def _private(owner: ast.AST, node: Function) -> bool:
    return node.name.startswith("_") or getattr(owner, "name", "").startswith("_")


def long_functions(tree: ast.Module, _: Path) -> Found:
    """Functions that do not fit on a screen, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > LONG_FUNCTION:
                yield node.lineno, f"{node.name}: {lines} lines"


def long_files(tree: ast.Module, _: Path) -> Found:
    """The file, where it is not read in one sitting."""
    lines = max((getattr(node, "end_lineno", 0) for node in tree.body), default=0)
    if lines > LONG_FILE:
        yield lines, f"{lines} lines"


def _name(node: ast.expr) -> str:
    return ast.unparse(node)


COUNTS: dict[str, Callable[[ast.Module, Path], Found]] = {
    "untyped mappings": untyped_mappings,
    "comparisons on the task outside tasks/": comparisons_of_the_task,
    "string-keyed reads of a stage's JSON": reads_of_another_stages_json,
    "public functions without a docstring": public_without_docstring,
    f"functions over {LONG_FUNCTION} lines": long_functions,
    f"files over {LONG_FILE} lines": long_files,
}


def places(package: Path) -> dict[str, list[str]]:
    """Each kind's places, `file:line what`, of the package in a folder."""
    found: dict[str, list[str]] = {name: [] for name in COUNTS}
    for path in sorted(package.rglob("*.py")):
        tree, inside = ast.parse(path.read_text()), path.relative_to(package)
        for name, count in COUNTS.items():
            found[name] += [f"{inside}:{line} {what}" for line, what in count(tree, inside)]
    return found


def places_at(commit: str) -> dict[str, list[str]]:
    """`places` as a commit has them."""
    archive = subprocess.run(
        ["git", "archive", commit, "edgedistill"], cwd=ROOT, capture_output=True, check=True
    )
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
            packed.extractall(folder, filter="data")
        return places(Path(folder, "edgedistill"))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--before")
    wanted = parser.parse_args()
    now = places(ROOT / "edgedistill")
    before = places_at(wanted.before) if wanted.before else now
    rows: list[dict[str, Any]] = [
        {"name": name, "before": len(before[name]), "after": len(now[name]), "places": now[name]}
        for name in COUNTS
    ]
    for row in rows:
        print(f"{row['name']}: {row['before']} -> {row['after']}")
        if wanted.list:
            print("".join(f"  {place}\n" for place in row["places"]), end="")
    if wanted.before:
        write("house", rows, seeds=[], before=wanted.before)


if __name__ == "__main__":
    main()
