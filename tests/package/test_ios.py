"""The package for iOS: what is written; where Swift is installed, that its logic is Python's."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgedistill.package import ios
from edgedistill.package.platforms import PLATFORMS

GLUE = Path(ios.__file__).parent / "glue"
HARNESS = Path(__file__).parent / "swift"
swift = pytest.mark.skipif(shutil.which("swift") is None, reason="needs a Swift compiler")


@pytest.mark.parametrize(
    ("name", "module"),
    [("digits", "Digits"), ("wake-words", "WakeWords"), ("7segments", "Model7segments"),
     ("model", "ModelModel")],
)  # fmt: skip
def test_a_bundles_name_is_a_module(name: str, module: str) -> None:
    assert ios.swift_name(name) == module


def test_there_is_code_for_each_runtime() -> None:
    for runtime in PLATFORMS["ios"].runtimes:
        text = (GLUE.parent / "runtimes" / f"{runtime}.swift").read_text()
        assert "final class Runtime: Programs" in text


def test_the_logic_imports_no_runtime() -> None:
    for path in (GLUE / "Sources" / "EdgeLogic").glob("*.swift"):
        imported = {line for line in path.read_text().splitlines() if line.startswith("import ")}
        assert imported <= {"import Foundation"}, path.name


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swift")
    shutil.copytree(GLUE / "Sources" / "EdgeLogic", folder / "Sources" / "EdgeLogic")
    shutil.copytree(GLUE / "Tests" / "EdgeLogicTests", folder / "Tests" / "EdgeLogicTests")
    shutil.copytree(HARNESS, folder / "Sources" / "harness")
    (folder / "Package.swift").write_text(
        "// swift-tools-version:5.9\nimport PackageDescription\n"
        'let package = Package(name: "Trial", targets: [.target(name: "EdgeLogic"), '
        '.executableTarget(name: "harness", dependencies: ["EdgeLogic"]), '
        '.testTarget(name: "EdgeLogicTests", dependencies: ["EdgeLogic"])])\n'
    )
    subprocess.run(["swift", "build"], cwd=folder, check=True)
    return folder


@swift
@pytest.mark.slow
@pytest.mark.parametrize(
    ("runtime", "module"),
    [("coreml", "CoreML"), ("onnxruntime", "OnnxRuntimeBindings"), ("litert", "TensorFlowLite")],
)
def test_a_runtimes_code_fits_its_documented_interface(
    tmp_path: Path, runtime: str, module: str
) -> None:
    """Against declarations of our own: what a Mac says of the real ones, nobody knows."""

    def compile_(name: str, *files: Path) -> None:
        made = ["-emit-module", "-module-name", name, "-emit-module-path", f"{name}.swiftmodule"]
        subprocess.run(["swiftc", "-parse-as-library", *made, *files], cwd=tmp_path, check=True)

    compile_("EdgeLogic", *(GLUE / "Sources" / "EdgeLogic").glob("*.swift"))
    compile_(module, HARNESS / "stubs" / f"{module}.swift")
    sources = [*(GLUE / "Sources" / "Model").glob("*.swift"),
               GLUE.parent / "runtimes" / f"{runtime}.swift"]  # fmt: skip
    if runtime != "litert":  # a Swift package has this of its own
        (tmp_path / "module.swift").write_text(
            "import Foundation\n"
            "extension Foundation.Bundle { static var module: Foundation.Bundle { .main } }\n"
        )
        sources.append(tmp_path / "module.swift")
    order = ["swiftc", "-typecheck", "-parse-as-library", "-module-name", "Trial", "-I", "."]
    subprocess.run([*order, *sources], cwd=tmp_path, check=True)


@swift
@pytest.mark.slow
def test_the_logics_own_tests_pass(harness: Path) -> None:
    subprocess.run(["swift", "test"], cwd=harness, check=True)


@swift
@pytest.mark.slow
@pytest.mark.parametrize("how", ["stretch"])
@pytest.mark.parametrize(("height", "width"), [(7, 5), (40, 61), (16, 16)])
def test_pictures_are_resized_as_pillow_does(
    harness: Path, tmp_path: Path, how: str, height: int, width: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    told = {"image_size": [16, 12], "channels": 3, "resize": {"how": how}}
    assert prepared(harness, tmp_path, pixels, told) == pixels_of(pixels)


def prepared(harness: Path, folder: Path, pixels: Any, told: dict[str, Any]) -> bytes:
    height, width, channels = pixels.shape
    case = {"height": height, "width": width, "channels": channels, "preprocessing": told,
            "bytes": base64.b64encode(pixels.tobytes()).decode()}  # fmt: skip
    (folder / "cases.json").write_text(json.dumps([case]))
    command = [harness / ".build" / "debug" / "harness", "prepare", folder / "cases.json"]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return base64.b64decode(json.loads(ran.stdout))


def pixels_of(pixels: Any) -> bytes:
    return Image.fromarray(pixels).resize((12, 16), Image.Resampling.BILINEAR).tobytes()
