"""Imports point one way, and the light parts stay light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgedistill

ROOT = Path(edgedistill.__file__).parent
# From the lowest to the highest; what stands in one row does not import its neighbours, except
# where BESIDE says so.
ORDER: list[set[str]] = [
    {"__main__", "errors"},
    {"apart", "artifact", "files", "progress", "replacing", "scratch"},
    {"document", "usercode"},
    {"signature"},
    {"program"},
    {"runtime_table"},
    {"target"},
    {"fields", "records"},
    {"transcripts"},
    {"tasks"},
    {"families", "losses"},
    {"recipe"},
    {
        "batch_norm",
        "cache",
        "checkpoint",
        "data",
        "libraries",
        "models",
        "pointwise",
        "program_file",
    },
    {"listening", "predict"},
    {"train", "training_inputs", "distill", "compress", "runtimes", "devices"},
    {"costs", "transcribing"},
    {"advice"},
    {"stages"},
    {"plan", "plan_needs"},
    {"plan_speech"},
    {"on_device", "precheck", "rehearsal"},
    {"pipeline"},
    {"report"},
    {"bundle", "searching"},
    {"package"},
    {"api", "starter", "console", "schemas"},
    {"cache_commands"},
    {"bundle_commands", "device_commands", "package_commands", "search_commands"},
    {"cli"},
    {"command_line"},
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
BESIDE = {
    ("train", "distill"),
    ("train", "training_inputs"),
    ("training_inputs", "distill"),
    ("devices", "runtimes"),
    ("distill", "runtimes"),
    ("bundle", "report"),
    ("__main__", "command_line"),
}
HEAVY = {
    "accelerate", "ai_edge_litert", "litert_torch", "onnx", "onnxruntime", "openvino",
    "pandas", "pyarrow", "sklearn", "tensorflow", "torch", "torchao", "torchvision", "transformers",
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    """Dotted names of the package's own modules that a file imports, function bodies included;
    not what only the type checker reads."""
    tree = ast.parse(path.read_text())
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def own(path: Path) -> Iterator[tuple[str, str]]:
    """(this part, the part it imports), e.g. ("stages", "train")."""
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imports(path):
        package, _, rest = name.partition(".")
        if package == "edgedistill" and rest and rest.split(".")[0] in LEVEL:
            yield here, rest.split(".")[0]


def test_the_drawing_of_the_house_is_true() -> None:
    """`docs/design.md` draws the rows of ORDER, the highest first."""
    text = (ROOT.parent / "docs" / "design.md").read_text()
    drawing = text.split("```text\n", 1)[1].split("```", 1)[0]
    rows = [re.split(" {3,}", line)[0].split() for line in drawing.splitlines()]
    assert [set(names) for names in rows if names] == list(reversed(ORDER))


GLUE = ROOT / "package" / "python" / "glue"
"""A package of its own, once it is in a wheel."""
FILES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if path != ROOT / "__init__.py" and GLUE not in path.parents
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    for here, other in own(path):
        assert here in LEVEL, f"{here} has no place in ORDER"
        if here != other and (here, other) not in BESIDE:
            assert LEVEL[other] < LEVEL[here], f"{here} imports {other}"


@pytest.mark.parametrize("path", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_stages_do_not_import_each_other(path: Path) -> None:
    stages = {each.stem for each in (ROOT / "stages").glob("[a-z]*.py")} - {path.stem}
    for name in imports(path):
        parts = name.split(".")
        assert not (parts[:2] == ["edgedistill", "stages"] and parts[2] in stages), name


def _imported(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import edgedistill",
        "from edgedistill.command_line import run; run(['--help'])",
        "from edgedistill.command_line import run; run(['targets'])",
        "from edgedistill.command_line import run; run(['schema'])",
        "from edgedistill.command_line import run; run(['cache'])",
    ],
)
def test_light_commands_import_nothing_heavy(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDISTILL_CACHE", str(tmp_path))
    assert not _imported(statement) & HEAVY


def test_help_imports_neither_pydantic_nor_rich_nor_yaml() -> None:
    loaded = _imported("from edgedistill.command_line import run; run(['--help'])")
    assert not loaded & {"pydantic", "rich", "yaml", "numpy"}
