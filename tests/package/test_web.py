"""A package for the web as it is written, without a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgedistill.package.web as web
from edgedistill.bundle import Bundle, write_bundle
from edgedistill.devices.browser import packages
from edgedistill.errors import UserError
from edgedistill.package import package
from edgedistill.package.app import App
from edgedistill.package.contents import Contents, contents_of
from edgedistill.package.platforms import PLATFORMS
from edgedistill.signature import TensorSpec


@pytest.fixture
def bundle(make_result: Callable[..., Any], tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


@pytest.fixture
def made(bundle: Bundle, tmp_path: Path) -> Path:
    return package(bundle, "web", tmp_path / "package").path


def test_npm_is_told_what_is_shipped_and_the_runtime_that_is_pinned(made: Path) -> None:
    told = json.loads((made / "package.json").read_text())
    pinned = {each.name: each.version for each in packages.PACKAGES}
    assert (told["name"], told["type"], told["files"]) == ("tiny", "module", ["src", "data"])
    assert told["dependencies"] == {"onnxruntime-web": pinned["onnxruntime-web"]}
    assert list(told["exports"]["."]) == ["types", "default"]  # the first that fits is taken
    for path in told["exports"]["."].values():
        assert (made / path).is_file()
    assert (made / "LICENSE").is_file()


def test_every_file_that_the_model_needs_is_in_the_table_and_there(made: Path) -> None:
    table = (made / "src/files.js").read_text()
    rows = dict(re.findall(r'"([^"]+)": new URL\("\.\./([^"]+)", import\.meta\.url\)\.href', table))
    app = json.loads((made / "data/app.json").read_text())
    golden = [each["file"] for end in ("inputs", "outputs") for each in app["golden"][end]]
    assert {*rows} == {"app.json", app["files"][0]["file"], *golden}
    assert all((made / path).is_file() for path in rows.values())


def test_only_the_runtime_of_the_package_is_imported_and_nothing_from_elsewhere(
    made: Path,
) -> None:
    assert not list((made / "src").glob("runtime_*"))
    sources = [*(made / "src").glob("*.js"), *(made / "demo").glob("*.js")]
    outside = {
        name
        for source in sources
        for name in re.findall(r'from "([^"]+)"', source.read_text())
        if not name.startswith((".", "onnxruntime-web"))
    }
    assert not outside
    for source in (*sources, *(made / "demo").glob("*.html"), *(made / "demo").glob("*.css")):
        assert "http://" not in source.read_text()
        assert "https://" not in source.read_text()


def test_modules_import_what_others_export(made: Path) -> None:
    src = made / "src"
    named = r'import \{([^}]+)\} from "\./(\w+\.js)"'
    for source in src.glob("*.js"):
        for names, module in re.findall(named, source.read_text()):
            exported = re.findall(
                r"export (?:async )?(?:function\*?|const|class) (\w+)", (src / module).read_text()
            )
            assert {each.strip() for each in names.split(",")} <= {*exported}, source.name


def test_the_readme_is_filled_in(made: Path) -> None:
    told = (made / "README.md").read_text()
    assert "{{" not in told
    assert 'import { open } from "tiny";' in told
    assert "await model.classify(source)" in told
    assert "Cross-Origin-Embedder-Policy: require-corp" in told


@pytest.mark.parametrize(
    ("name", "wanted"), [("digits", "digits"), ("Wake words!", "wake-words"), ("_…_", "model")]
)
def test_a_bundle_of_any_name_is_a_package_of_a_name_that_npm_takes(name: str, wanted: str) -> None:
    assert web.package_name(name) == wanted


def test_a_later_bundle_is_a_later_version() -> None:
    made = [web.package_version(f"2026-{each}+00:00") for each in
            ("09-30T23:59:59", "10-01T00:00:01", "10-01T13:00:00")]  # fmt: skip
    assert made == ["2026.930.235959", "2026.1001.1", "2026.1001.130000"]


def test_litert_in_a_browser_takes_no_int8_and_says_what_does(
    bundle: Bundle, tmp_path: Path
) -> None:
    told = json.loads(
        (package(bundle, "web", tmp_path / "package").path / "data/app.json").read_text()
    )
    spec = TensorSpec("pixels", (1, 8, 8, 1), "NHWC", "int8", 1 / 255, -128)
    file = {**told["files"][0], "file": "tiny.int8.tflite", "inputs": [vars(spec)]}
    app = App.model_validate({**told, "runtime": "litert", "files": [file]}, strict=False)
    with pytest.raises(UserError) as raised:
        web.write(Contents(app, {}), tmp_path / "other")
    assert raised.value.message == (
        "LiteRT.js takes float32, int32 and uint8, and `pixels` of tiny.int8.tflite is int8"
    )
    assert "--runtime onnxruntime" in raised.value.hint


def test_litert_js_is_given_no_file_of_two_programs(bundle: Bundle) -> None:
    app = contents_of(bundle, PLATFORMS["web"], "onnxruntime", "fp32").app
    (main,) = app.files
    both = (main, main.model_copy(update={"program": "step"}))
    app = app.model_copy(update={"runtime": "litert", "files": both})
    with pytest.raises(UserError) as raised:
        web._check(app)
    assert re.fullmatch(
        r"LiteRT\.js [\d.]+ gives wrong values for the second program of a file, and "
        r"tiny\.fp32\.onnx holds `main` and `step`",
        raised.value.message,
    )
    assert "add `--runtime onnxruntime`" in raised.value.hint
