"""A package for Android as it is written, without Android's tools."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.errors import UserError
from edgedistill.package import package
from edgedistill.package.android import ASSETS, aar, asset_name
from edgedistill.package.android.alignment import check_aligned, data_offset, least_alignment


@pytest.fixture
def bundle(make_result: Callable[..., Any], tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


@pytest.fixture
def project(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(aar.TOOLS, raising=False)
    return package(bundle, "android", tmp_path / "package").path


def test_the_assets_are_the_model_its_description_and_golden_data(
    project: Path, bundle: Bundle
) -> None:
    assets = project / ASSETS / "tiny"
    files = {each.relative_to(assets).as_posix() for each in assets.rglob("*") if each.is_file()}
    assert files == {
        "app.json", "LICENSE", "PROVENANCE.md", "golden/input.bin", "golden/output.bin",
        "tiny.int8.onnx",
    }  # fmt: skip
    app = json.loads((assets / "app.json").read_text())
    assert (app["name"], app["runtime"], app["origin"]["bundle"]) == (
        "tiny", "onnxruntime", bundle.digest,
    )  # fmt: skip
    (model,) = app["files"]
    assert (assets / model["file"]).read_bytes() == (bundle.path / model["file"]).read_bytes()


def test_the_module_has_the_sources_of_its_runtime_alone(project: Path) -> None:
    assert (project / "library/src/onnxruntime/kotlin/edgedistill/OnnxRuntime.kt").is_file()
    assert not (project / "library/src/litert").exists()
    properties = (project / "gradle.properties").read_text().splitlines()
    assert "edgedistill.runtime=onnxruntime" in properties


def test_models_stay_uncompressed_and_only_phones_and_emulators_are_built_for(
    project: Path,
) -> None:
    for name in ("library", "sample"):
        build = (project / name / "build.gradle.kts").read_text()
        assert 'noCompress += listOf("tflite", "onnx")' in build
        assert f"minSdk = {aar.MIN_SDK}" in build
    assert 'abiFilters += listOf("arm64-v8a", "x86_64")' in build


def test_manifests_and_build_files_are_well_formed(project: Path) -> None:
    for manifest in project.rglob("AndroidManifest.xml"):
        assert ElementTree.parse(manifest).getroot().tag == "manifest"
    for build in (*project.rglob("*.kts"), *project.rglob("*.kt")):
        text = re.sub(r'"(\\.|[^"\\\n])*"|//.*|\'.\'', "", build.read_text())
        assert all(text.count(a) == text.count(b) for a, b in ("()", "{}", "[]")), build


def test_nothing_uses_the_old_interpreter() -> None:
    sources = Path(aar.__file__).parent / "project"
    assert all("Interpreter" not in each.read_text() for each in sources.rglob("*.kt*"))


def test_the_readme_says_what_it_adds_and_what_was_not_tried(project: Path) -> None:
    told = (project / "README.md").read_text()
    assert "{{" not in told
    assert told.startswith("# tiny for Android")
    assert 'implementation("com.microsoft.onnxruntime:onnxruntime-android:' in told
    assert 'implementation(files("libs/tiny.aar"))' in told
    assert "None of it was built by Gradle or run on a device" in told
    assert "There is no `tiny.aar` here" in told


def test_a_missing_tool_is_named(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(aar.TOOLS, str(tmp_path))
    with pytest.raises(UserError, match=f"^{aar.TOOLS}: {tmp_path}/kotlinc/bin/kotlinc is missing"):
        package(bundle, "android", tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_an_aar_is_the_same_each_time_and_its_models_are_stored(
    project: Path, tmp_path: Path
) -> None:
    classes = tmp_path / "classes.jar"
    classes.write_bytes(b"classes")
    first, second = tmp_path / "first.aar", tmp_path / "second.aar"
    for out in (first, second):
        aar.pack(project / "library", classes, out)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as file:
        model = file.getinfo("assets/edgedistill/tiny/tiny.int8.onnx")
        assert model.compress_type == zipfile.ZIP_STORED
        assert {"AndroidManifest.xml", "R.txt", "classes.jar", "proguard.txt"} < {*file.namelist()}
        manifest = ElementTree.fromstring(file.read("AndroidManifest.xml"))
        assert manifest.get("package") == "edgedistill"
    where = data_offset(first, model)
    content = (project / ASSETS / "tiny/tiny.int8.onnx").read_bytes()
    assert first.read_bytes()[where : where + len(content)] == content


def elf(alignment: int, bits: int = 64) -> bytes:
    """A header and one part that is loaded."""
    head = struct.pack("<4sBB26xQ14xHH4x", b"\x7fELF", bits // 32, 1, 64, 56, 1)
    return head.ljust(64, b"\0") + struct.pack("<I44xQ", 1, alignment)


@pytest.fixture
def libraries(tmp_path: Path) -> Callable[..., Path]:
    def make(**content: bytes) -> Path:
        with zipfile.ZipFile(tmp_path / "runtime.aar", "w") as file:
            for name, each in content.items():
                file.writestr(f"jni/arm64-v8a/{name}.so", each)
        return tmp_path / "runtime.aar"

    return make


def test_libraries_for_pages_of_16_kb_pass(libraries: Callable[..., Path]) -> None:
    archive = libraries(good=elf(16384), old=elf(4096, bits=32))
    check_aligned(archive)
    assert [(each.name, each.alignment) for each in least_alignment(archive)] == [
        ("jni/arm64-v8a/good.so", 16384)
    ]


def test_a_library_for_pages_of_4_kb_is_refused(libraries: Callable[..., Path]) -> None:
    archive = libraries(good=elf(16384), bad=elf(4096))
    with pytest.raises(UserError, match=r"bad\.so is aligned to 4096 bytes, and Android takes"):
        check_aligned(archive)


@pytest.mark.parametrize("content", [b"no elf", elf(16384)[:70]])
def test_what_is_no_library_is_told(libraries: Callable[..., Path], content: bytes) -> None:
    with pytest.raises(UserError, match="ELF file"):
        check_aligned(libraries(wrong=content))


def test_a_name_becomes_a_folder() -> None:
    assert asset_name("my model/é") == "my_model_"
    assert asset_name("..") == "model"
    assert asset_name("a-b_1.x") == "a-b_1.x"
