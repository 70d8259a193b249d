"""Packages as folders."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.command_line import run
from edgedistill.errors import UserError
from edgedistill.package import package
from edgedistill.package.platforms import PLATFORMS
from edgedistill.package.write import MARK

Make = Callable[..., Any]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def bundle(make_result: Make, tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


def test_a_package_says_what_it_consists_of_and_what_it_adds(
    bundle: Bundle, tmp_path: Path
) -> None:
    made = package(bundle, "python", tmp_path / "out")
    told = json.loads((made.path / MARK).read_text())
    there = {
        each.relative_to(made.path).as_posix() for each in made.path.rglob("*") if each.is_file()
    }
    assert there == {MARK, *told["files"]}
    (file,) = (each for each in bundle.files if each["file"] == bundle.manifest["shipped"])
    assert made.sizes["model"] == file["bytes"]
    assert (made.sizes["glue"] or 0) > 10_000
    assert "{{" not in (made.path / "README.md").read_text()


def test_it_is_the_same_bytes_again(bundle: Bundle, tmp_path: Path) -> None:
    marks = [(package(bundle, "python", tmp_path / name).path / MARK).read_text() for name in "ab"]
    assert marks[0] == marks[1]


def test_an_older_package_is_replaced_and_nothing_else(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    package(bundle, "python", out, precision="fp32")
    assert package(bundle, "python", out, precision="int8").precision == "int8"
    (out / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds what is no part of its package: mine\.txt"):
        package(bundle, "python", out)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes").touch()
    with pytest.raises(UserError, match="exists and is not a package; it was left alone"):
        package(bundle, "python", tmp_path / "other")
    with pytest.raises(UserError, match="exists and is not a package"):
        package(bundle, "python", bundle.path)


def test_nothing_is_left_where_it_fails(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("edgedistill.package.python.write", fail)
    with pytest.raises(RuntimeError):
        package(bundle, "python", tmp_path / "out" / "package")
    assert list((tmp_path / "out").iterdir()) == []


def test_all_are_written_where_posix_has_no_modules(bundle: Bundle, tmp_path: Path) -> None:
    asked = (
        "import sys\n"
        "for name in ('fcntl', 'resource', 'pwd', 'termios', 'coremltools'):\n"
        "    sys.modules[name] = None\n"
        "from edgedistill.package import package\n"
        "for name in sys.argv[2:]: package(sys.argv[1], name, name, runtime='onnxruntime')\n"
    )
    command = [sys.executable, "-c", asked, str(bundle.path.resolve()), *PLATFORMS]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=300)
    assert all((tmp_path / name / MARK).is_file() for name in PLATFORMS)


def test_the_command_line(bundle: Bundle, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    asked = ["package", str(bundle.path), "--platform", "python", "--out", str(out)]
    assert run([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["platform"], told["runtime"]) == (str(out), "python", "onnxruntime")
    assert run(asked) == 0
    assert "wrote" in capsys.readouterr().err
    assert run(["package", str(tmp_path), "-p", "python", "-o", str(out)]) == 2
    assert "not a bundle" in capsys.readouterr().err
    assert run(["package", str(bundle.path), "-p", "pyton", "-o", str(out)]) == 2
    assert "did you mean `python`?" in capsys.readouterr().err
