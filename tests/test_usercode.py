from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from edgedistill.errors import UserError
from edgedistill.usercode import load_function, make_importable, running, source_digest

FILES = {
    "student.py": "import blocks\nfrom parts import heads\n\ndef build(): ...\n",
    "blocks.py": "import parts.deep.layers\n",
    "parts/__init__.py": "from . import stems\n",
    "parts/stems.py": "",
    "parts/heads.py": "from .deep import layers, tails\nfrom .. import nothing\n",
    "parts/deep/__init__.py": "",
    "parts/deep/layers.py": "",
    "parts/deep/tails.py": "import student\n",
}
UNUSED = {"other.py": "", "parts/unused.py": "", "broken.py": "def (", "notes.txt": ""}


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (FILES | UNUSED).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_change_of_what_is_imported_changes_the_digest(code: Path, name: str) -> None:
    before = source_digest("student:build", "student.function")
    (code / name).write_text(FILES[name] + "changed = 1\n")
    assert source_digest("student:build", "student.function") != before


@pytest.mark.parametrize("name", UNUSED)
def test_a_change_of_what_is_not_imported_does_not(code: Path, name: str) -> None:
    before = source_digest("student:build", "student.function")
    (code / name).write_text("changed = 1\n")
    assert source_digest("student:build", "student.function") == before


MEANT = '''"""What it is."""
import math

def build(scale=2.0):
    """Twice."""
    return math.sqrt(scale)

class Net:
    """A net."""
    note = "kept"
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import math", "# math first\n\n\nimport math  # square roots"),
        ("What it is.", "What it was."),
        ('    """Twice."""\n', ""),
        ("A net.", "Another\n    net."),
        ("build(scale=2.0)", "build(\n    scale = 2.0,\n)"),
        ('"kept"', "'kept'"),
    ],
)
def test_comments_docstrings_and_layout_change_no_digest(code: Path, old: str, new: str) -> None:
    (code / "blocks.py").write_text(MEANT)
    before = source_digest("student:build", "student.function")
    assert old in MEANT
    (code / "blocks.py").write_text(MEANT.replace(old, new))
    assert source_digest("student:build", "student.function") == before


@pytest.mark.parametrize(("old", "new"), [("2.0", "2"), ("kept", "kept "), ("sqrt", "exp")])
def test_what_code_does_changes_the_digest(code: Path, old: str, new: str) -> None:
    (code / "blocks.py").write_text(MEANT)
    before = source_digest("student:build", "student.function")
    (code / "blocks.py").write_text(MEANT.replace(old, new))
    assert source_digest("student:build", "student.function") != before


@pytest.mark.parametrize(
    "reader",
    ["print(__doc__)", "getattr(build, '__doc__')", "from inspect import getsource",
     "import inspect as i", "import torch.jit", "build.__doc__"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["blocks.py", "student.py"])
def test_where_code_reads_docstrings_or_sources_they_count(
    code: Path, reader: str, name: str
) -> None:
    (code / "blocks.py").write_text(MEANT)
    with (code / name).open("a") as file:
        file.write(f"\n{reader}\n")
    before = source_digest("student:build", "student.function")
    text = (code / "blocks.py").read_text()
    (code / "blocks.py").write_text(text.replace("Twice.", "Two times."))
    assert source_digest("student:build", "student.function") != before


def test_code_that_is_nested_too_deeply_has_a_digest(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deep(_: object) -> str:
        raise RecursionError

    monkeypatch.setattr("edgedistill.usercode.sources.ast.dump", deep)
    before = source_digest("student:build", "student.function")
    (code / "blocks.py").write_text("width = 8\n")
    assert source_digest("student:build", "student.function") != before


def test_a_function_in_a_package(code: Path) -> None:
    before = source_digest("parts.heads:build", "student.function")
    (code / "parts" / "stems.py").write_text("changed = 1\n")
    assert source_digest("parts.heads:build", "student.function") != before


def test_a_file_that_cannot_be_parsed_has_a_digest(code: Path) -> None:
    before = source_digest("broken:build", "student.function")
    (code / "broken.py").write_text("def )")
    assert source_digest("broken:build", "student.function") != before


def test_an_installed_package_is_known_by_its_file_and_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        "edgedistill.usercode.sources.file_digest", lambda path: seen.append(path.name) or path.name
    )
    before = source_digest("jinja2.loaders:FileSystemLoader", "data.function")
    assert seen == ["loaders.py"]
    monkeypatch.setattr(
        "edgedistill.usercode.sources.metadata.version", lambda name: f"another {name}"
    )
    assert source_digest("jinja2.loaders:FileSystemLoader", "data.function") != before


def test_a_module_that_is_not_there(code: Path) -> None:
    with pytest.raises(UserError, match="no module `students`"):
        source_digest("students:build", "student.function")
    with pytest.raises(UserError, match="importing `broken` failed: SyntaxError"):
        load_function("broken:build", "student.function")


@pytest.mark.parametrize("reference", ["./student:build", "../student:build"])
def test_what_is_no_modules_name_is_told(code: Path, reference: str) -> None:
    with pytest.raises(UserError, match="no module"):
        source_digest(reference, "student.function")


def test_code_that_was_edited_is_imported_anew(code: Path) -> None:
    for number in (1, 20):
        (code / "blocks.py").write_text(f"def width(): return {number}\n")
        (code / "student.py").write_text("import blocks\n\ndef build(): return blocks.width()\n")
        assert load_function("student:build", "student.function")() == number
        again = load_function("student:build", "student.function")
        assert again is load_function("student:build", "student.function")


def test_code_that_the_user_imported_before_editing_it_is_imported_anew(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("notes", "blocks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (code / "notes.py").write_text("def build(): return 1\n")
    assert importlib.import_module("notes").build() == 1
    (code / "notes.py").write_text("def build(): return 20\n")
    assert load_function("notes:build", "student.function")() == 20


def test_the_recipes_own_file_is_meant_whatever_lay_elsewhere_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("one", "two", "one"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "my_own.py").write_text(f"def build(): return {name!r}\n")
        make_importable(folder)
        assert load_function("my_own:build", "student.function")() == name


def test_a_helper_of_the_same_name_in_another_folder_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("left", "right"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "helper_of_both.py").write_text(f"def build(): return {name!r}\n")
        (folder / f"net_{name}.py").write_text("from helper_of_both import build\n")
        make_importable(folder)
        assert load_function(f"net_{name}:build", "student.function")() == name


def test_a_file_that_bears_an_installed_modules_name_takes_nothing_away(code: Path) -> None:
    import json

    (code / "json.py").write_text("")
    (code / "reader.py").write_text("import json\n\ndef build(): return json.dumps([1])\n")
    assert load_function("reader:build", "student.function")() == "[1]"
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit(0)", "failed in ending.py line 2: SystemExit: 0"),
        ("import os\nos._exit(0)", "failed in ending.py line 2: SystemExit: 0"),
        ("\nraise type('Own', (BaseException,), {})('x\\ny')", "in ending.py line 2: Own: x"),
        ("def f(): f()\nf()", "failed in ending.py line 1: RecursionError: "),
        ("1 +", "failed: SyntaxError: invalid syntax (ending.py, line 1)"),
        ("def __getattr__(name): raise KeyError(name)", "failed in ending.py line 1: KeyError: "),
    ],
)
def test_an_import_that_ends_anyhow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "ending.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as caught:
        load_function("ending:build", "student.function")
    assert message in caught.value.message
    assert caught.value.message.startswith("student.function: importing `ending` failed")
    assert caught.value.hint == "`python -c 'import ending'` shows where"


def test_a_package_that_ends_the_program_when_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(0)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"importing `ends` failed in ends\.py line 2: SystemExit"):
        source_digest("ends.inner:build", "student.function")


def test_processes_that_a_users_code_forks_may_leave_at_once() -> None:
    with running("`a:b`", "data.function"):
        child = os.fork()
        if not child:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), UserError("said")])
def test_what_is_no_mistake_of_the_users_code_passes(error: BaseException) -> None:
    before = os._exit
    with pytest.raises(type(error)) as caught, running("`a:b`", "data.function"):
        raise error
    assert caught.value is error
    assert os._exit is before
