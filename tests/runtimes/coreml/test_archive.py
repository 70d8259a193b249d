"""A Core ML package as one file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edgedistill.errors import UserError
from edgedistill.runtimes.coreml.archive import files_of, pack, unpack


def package(folder: Path) -> Path:
    made = folder / "tiny.mlpackage"
    (made / "Data").mkdir(parents=True)
    (made / "Manifest.json").write_text("{}")
    (made / "Data" / "model.mlmodel").write_bytes(b"model")
    return made


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    pack(package(tmp_path), path := tmp_path / "tiny.mlpackage.zip")
    found = unpack(path, tmp_path / "again")
    assert found == tmp_path / "again" / "tiny.mlpackage"
    assert (found / "Data" / "model.mlmodel").read_bytes() == b"model"


def test_the_same_package_is_the_same_bytes(tmp_path: Path) -> None:
    made = package(tmp_path)
    pack(made, one := tmp_path / "one.zip")
    pack(made, other := tmp_path / "other.zip")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    "names",
    [["../a.mlpackage/x"], ["a.mlpackage/../../x"], ["/a.mlpackage/x"], ["a.mlpackage/x", "b/x"],
     ["folder/x"], ["a.mlpackage"], []],
)  # fmt: skip
def test_an_archive_of_anything_else_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "tiny.mlpackage.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    with pytest.raises(UserError, match="holds no Core ML package"):
        files_of(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.mlpackage.zip"
    path.write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be unpacked"):
        files_of(path)
