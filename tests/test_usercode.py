from __future__ import annotations

from pathlib import Path

import pytest

from edgedistill.errors import UserError
from edgedistill.usercode import load_function, source_digest

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
    (code / name).write_text(FILES[name] + "# changed\n")
    assert source_digest("student:build", "student.function") != before


@pytest.mark.parametrize("name", UNUSED)
def test_a_change_of_what_is_not_imported_does_not(code: Path, name: str) -> None:
    before = source_digest("student:build", "student.function")
    (code / name).write_text("changed = 1\n")
    assert source_digest("student:build", "student.function") == before


def test_a_function_in_a_package(code: Path) -> None:
    before = source_digest("parts.heads:build", "student.function")
    (code / "parts" / "stems.py").write_text("changed = 1\n")
    assert source_digest("parts.heads:build", "student.function") != before


def test_a_file_that_cannot_be_parsed_has_a_digest(code: Path) -> None:
    before = source_digest("broken:build", "student.function")
    (code / "broken.py").write_text("def )")
    assert source_digest("broken:build", "student.function") != before


def test_an_installed_package_is_not_followed_into_others(monkeypatch: pytest.MonkeyPatch) -> None:
    import jinja2

    seen: list[Path] = []
    monkeypatch.setattr(
        "edgedistill.usercode.file_digest", lambda path: seen.append(path) or path.name
    )
    source_digest("jinja2.loaders:FileSystemLoader", "data.function")
    folder = Path(jinja2.__file__).parent
    assert folder / "environment.py" in seen
    assert all(path.is_relative_to(folder) for path in seen)


def test_a_module_that_is_not_there(code: Path) -> None:
    with pytest.raises(UserError, match="no module `students`"):
        source_digest("students:build", "student.function")
    with pytest.raises(UserError, match="importing `broken` failed: SyntaxError"):
        load_function("broken:build", "student.function")
