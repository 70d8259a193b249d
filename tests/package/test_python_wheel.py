"""The wheel itself."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgedistill.bundle import write_bundle
from edgedistill.package import package
from edgedistill.package.names import module_name
from edgedistill.package.python.wheel import Project, write_wheel


@pytest.fixture
def project() -> Project:
    return Project("tiny", "1.2", "A model", ">=3.10", ("numpy>=1.24",), {"files": ("pillow>=10",)})


def test_the_record_is_of_every_file(project: Project, tmp_path: Path) -> None:
    package = tmp_path / "tiny"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__" / "x.pyc").touch()
    (package / "__init__.py").write_text("a = 1\n")
    path = write_wheel(project, package, tmp_path / "dist")
    assert path.name == "tiny-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        rows = archive.read("tiny-1.2.dist-info/RECORD").decode().splitlines()
        assert [row.split(",")[0] for row in rows] == archive.namelist()
        for name, digest, size in (row.split(",") for row in rows[:-1]):
            held = archive.read(name)
            told = base64.urlsafe_b64encode(hashlib.sha256(held).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={told}", str(len(held)))
        metadata = archive.read("tiny-1.2.dist-info/METADATA").decode()
    assert "Requires-Dist: numpy>=1.24\n" in metadata
    assert "Requires-Dist: pillow>=10; extra == 'files'\n" in metadata


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("digits", "digits"), ("My model-2", "my_model_2"), ("2go", "model_2go"), ("é", "model"),
        ("json", "json_model"), ("numpy", "numpy_model"), ("class", "class_model"),
    ],
)  # fmt: skip
def test_a_module_has_a_name_of_its_own(name: str, module: str) -> None:
    assert module_name(name) == module


@pytest.mark.slow
def test_it_is_installed_where_there_is_no_torch(
    make_result: Callable[..., Any], tmp_path: Path
) -> None:
    """Takes what it requires from the package index."""
    made = package(write_bundle(make_result(), tmp_path / "bundle"), "python", tmp_path / "out")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = (made.path / "dist").glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True)
    found = subprocess.run(
        [python, "-m", "tiny", "selftest"], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("self-test passed: ")
    assert subprocess.run([python, "-c", "import torch"], check=False).returncode == 1
    subprocess.run([python, "-m", "pip", "check"], check=True)
