"""Which TensorFlow Lite a file wants."""

from __future__ import annotations

from pathlib import Path

import pytest
from exported import Exported, Silent

from edgedistill.errors import UserError
from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.versions import is_older, oldest
from edgedistill.stages import STAGES, Context
from edgedistill.stages.export import Config


def with_version(path: Path, kind: str, version: int) -> File:
    file = File.read(path)
    operator = next(each for each in file.operators if file.kind(each) == kind)
    file.model.operatorCodes[operator.opcodeIndex].version = version
    return file


def test_a_file_says_the_oldest_that_runs_it(exported: Exported) -> None:
    entry = exported.file_entry("litert", "int8")
    assert entry.oldest == oldest(File.read(exported.file("litert", "int8")))[0]
    assert entry.oldest is not None
    assert not is_older("2.14", entry.oldest)
    assert exported.file_entry("onnxruntime", "int8").oldest is None


def test_the_newest_operator_decides(exported: Exported) -> None:
    path = exported.file("litert", "int8")
    assert oldest(with_version(path, "CONV_2D", 8)) == ("2.15", ("CONV_2D 8",))


def test_an_operator_that_nobody_knows_of_is_named(exported: Exported) -> None:
    path = exported.file("litert", "int8")
    assert oldest(with_version(path, "CONV_2D", 99)) == (None, ("CONV_2D 99",))


def test_releases_are_no_decimal_numbers() -> None:
    assert is_older("2.9", "2.14")
    assert not is_older("2.14", "2.14")


def test_a_file_for_a_newer_runtime_than_asked_ends_the_export(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgedistill.runtimes.tflite.versions.oldest", lambda _: ("2.20", ("PAD 5",))
    )
    config = Config(
        name="tiny", runtimes=("litert",), precisions=("fp32",), io="float", processor="",
        oldest="2.14",
    )  # fmt: skip
    context = Context(tmp_path, 0, True, Silent(), tmp_path / "answers")
    inputs = {"data": exported.data, "quantize": exported.quantize}
    with pytest.raises(UserError, match=r"wants TensorFlow Lite 2\.20 for PAD 5, and") as told:
        STAGES["export"].run(config, inputs, context)
    assert "2.14" in told.value.message
