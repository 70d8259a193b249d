"""A bundle with Core ML files as a Swift package, from end to end; nothing here looks into a file
of Core ML, so that none has to be one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import file_entry, verify_row

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.package import package
from edgedistill.records import ExportRecord, VerifyRecord
from edgedistill.runtimes.coreml.archive import pack

FILE = "tiny.fp32.mlpackage"
INSIDE = {"Manifest.json": b"{}", "Data/com.apple.CoreML/model.mlmodel": b"graph",
          "Data/com.apple.CoreML/weights/weight.bin": b"weights"}  # fmt: skip


@pytest.fixture
def bundle(make_result: Callable[..., Any], tmp_path: Path) -> Bundle:
    """Of a compile whose export and verify have a Core ML file too."""
    result = make_result()
    export, verify = (result.artifacts[name].path for name in ("export", "verify"))
    for name, content in INSIDE.items():
        place = tmp_path / FILE / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    pack(tmp_path / FILE, path := export / "files" / f"{FILE}.zip")
    told = {"runtime": "coreml", "file": path.name, "bytes": path.stat().st_size}
    exported = ExportRecord.read(result.artifacts["export"])
    files = (*exported.files, file_entry("fp32", **told))
    ExportRecord(files, exported.labels, ()).write(export)
    verified = VerifyRecord.read(result.artifacts["verify"])
    row = verify_row("fp32", 94.25, runtime="coreml", file=path.name)
    VerifyRecord(True, (*verified.rows, row), verified.torch, verified.images).write(verify)
    golden = verify / "golden"
    outputs = np.load(golden / "outputs_tiny.fp32.onnx.npy")
    np.save(golden / f"outputs_{path.name}.npy", outputs)
    return write_bundle(result, tmp_path / "bundle")


def test_core_mls_package_is_unpacked_into_a_swift_package(bundle: Bundle, tmp_path: Path) -> None:
    made = package(bundle, "ios", tmp_path / "out", runtime="coreml")
    data = made.path / "Sources" / "Tiny" / "data"
    held = {
        each.relative_to(data / FILE).as_posix(): each.read_bytes()
        for each in (data / FILE).rglob("*")
        if each.is_file()
    }
    assert held == INSIDE
    told = json.loads((data / "app.json").read_text())
    assert (told["runtime"], [each["file"] for each in told["files"]]) == ("coreml", [FILE])
    golden = [*told["golden"]["inputs"], *told["golden"]["outputs"]]
    for each in golden:
        count = int(np.prod(each["shape"]))
        assert (data / each["file"]).stat().st_size == count * np.dtype(each["dtype"]).itemsize
    assert made.sizes["model"] == sum(map(len, INSIDE.values()))
    assert made.sizes["runtime"] == 0, "it is a part of iOS"


def test_it_needs_no_other_package_and_says_since_when(bundle: Bundle, tmp_path: Path) -> None:
    made = package(bundle, "ios", tmp_path / "out", runtime="coreml").path
    manifest = (made / "Package.swift").read_text()
    assert ".iOS(.v17)" in manifest
    assert ".package(" not in manifest
    assert "import CoreML" in (made / "Sources" / "Tiny" / "Runtime.swift").read_text()
    assert not list(made.glob("*.podspec"))
    told = (made / "README.md").read_text()
    assert "{{" not in told
    assert "iOS 17 and later, with Core ML, fp32" in told
    assert "Core ML is part of Apple's systems" in told


def test_another_runtime_is_taken_where_none_is_asked_for(bundle: Bundle, tmp_path: Path) -> None:
    assert package(bundle, "ios", tmp_path / "out").runtime == "onnxruntime"
