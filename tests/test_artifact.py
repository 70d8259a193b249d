"""A seal notices whatever was changed, and lets nothing else stop it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgedistill.artifact import SEAL, BrokenSeal, open_sealed, seal, write_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "deep").mkdir(parents=True)
    (made / "a.bin").write_bytes(b"abc")
    (made / "deep" / "b.json").write_text("{}")
    return made


def test_what_was_sealed_opens_with_its_metrics(folder: Path) -> None:
    sealed = seal(folder, "data", {"accuracy": 0.5}, {"seed": 1})
    opened = open_sealed(folder)
    assert opened == sealed
    assert (opened.kind, opened.metrics) == ("data", {"accuracy": 0.5})
    assert opened.json("deep/b.json") == {}


def test_the_digest_covers_the_files_and_not_the_metrics(folder: Path) -> None:
    first = seal(folder, "data", {"seconds": 1.0}, {}).digest
    assert seal(folder, "data", {"seconds": 2.0}, {}).digest == first
    (folder / "a.bin").write_bytes(b"abd")
    assert seal(folder, "data", {"seconds": 2.0}, {}).digest != first


def test_a_changed_file_breaks_the_seal(folder: Path) -> None:
    seal(folder, "data", {}, {})
    (folder / "a.bin").write_bytes(b"abd")
    with pytest.raises(BrokenSeal, match=r"^made: a\.bin was changed$"):
        open_sealed(folder)


def test_a_touched_file_is_hashed_again_and_trusted(folder: Path) -> None:
    seal(folder, "data", {}, {})
    os.utime(folder / "a.bin", (1, 1))
    assert open_sealed(folder).kind == "data"


def test_a_missing_and_an_added_file_break_the_seal(folder: Path) -> None:
    seal(folder, "data", {}, {})
    (folder / "a.bin").rename(folder / "c.bin")
    with pytest.raises(BrokenSeal, match=r"^made: files missing or added: a\.bin, c\.bin$"):
        open_sealed(folder)


@pytest.mark.parametrize("key", ["kind", "metrics", "digest", "made_by"])
def test_an_edited_seal_is_noticed(folder: Path, key: str) -> None:
    seal(folder, "data", {"accuracy": 0.5}, {})
    edited = json.loads((folder / SEAL).read_text())
    edited[key] = {"accuracy": 0.9}
    (folder / SEAL).write_text(json.dumps(edited))
    with pytest.raises(BrokenSeal, match=r"^made: the seal was edited$"):
        open_sealed(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {}}', "\x00"])
def test_a_damaged_seal_is_noticed(folder: Path, text: str) -> None:
    seal(folder, "data", {}, {})
    (folder / SEAL).write_text(text)
    with pytest.raises(BrokenSeal, match=r"^made: the seal cannot be read"):
        open_sealed(folder)


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_json(path, {"a": Unprintable()})
    assert json.loads(path.read_text()) == {"a": 1}
