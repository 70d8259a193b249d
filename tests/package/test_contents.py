"""What every package holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tone_net import HOP, LABELS, LENGTH, compiled

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.errors import UserError
from edgedistill.package.app import App, AppGolden
from edgedistill.package.contents import Contents, contents_of
from edgedistill.package.platforms import PICTURES, Platform

Make = Callable[..., Any]
EVERYWHERE = Platform("python", ("litert", "onnxruntime"))


@pytest.fixture
def bundle(make_result: Make, tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


def contents(bundle: Bundle, **asked: Any) -> Contents:
    return contents_of(bundle, EVERYWHERE, **{"runtime": None, "precision": None, **asked})


def test_a_picture_bundles_document_says_what_its_manifest_does(bundle: Bundle) -> None:
    app = contents(bundle).app
    told = bundle.manifest
    assert (app.kind, app.task, app.runtime, app.activation) == (
        "picture", "classification", "onnxruntime", "softmax",
    )  # fmt: skip
    assert list(app.labels) == told["labels"]
    assert app.preprocessing is not None
    assert (app.preprocessing.image_size, app.preprocessing.resize.how) == ((8, 8), "crop")
    assert app.counting is not None
    assert list(app.counting.edges) == told["reference"]["edges"]
    assert app.counting.temperature == 1.0, "as the reference was counted"
    assert app.origin.bundle == bundle.digest


def test_it_is_written_as_its_form_reads_it(bundle: Bundle, tmp_path: Path) -> None:
    whole = contents(bundle)
    whole.copy_into(tmp_path / "data")
    text = (tmp_path / "data" / "app.json").read_text()
    assert App.model_validate_json(text).as_json() == whole.document
    (file,) = whole.document["files"]
    held = (tmp_path / "data" / file["file"]).read_bytes()
    assert (file["bytes"], file["sha256"]) == (len(held), hashlib.sha256(held).hexdigest())
    names = {"LICENSE", "PROVENANCE.md", "app.json", "golden", file["file"]}
    assert {each.name for each in (tmp_path / "data").iterdir()} == names, "of no other file"


def test_golden_data_is_in_the_files_own_numbers(bundle: Bundle) -> None:
    whole = contents(bundle, precision="int8")
    golden = whole.app.golden
    assert isinstance(golden, AppGolden)
    (told,) = golden.inputs
    own = np.load(bundle.path / bundle.file(precision="int8")["golden"]["input"])
    raw = np.frombuffer(bytes(whole.sources[told.file]), told.dtype)  # type: ignore[arg-type]
    assert (told.dtype, told.shape) == (own.dtype.name, own.shape)
    assert np.array_equal(raw.reshape(told.shape), own)


def test_what_listens_has_golden_steps(tmp_path: Path) -> None:
    whole = contents(write_bundle(compiled(tmp_path / "made"), tmp_path / "bundle"))
    app = whole.app
    assert (app.kind, app.labels, [each.program for each in app.files]) == (
        "sound", LABELS, ["main", "step"],
    )  # fmt: skip
    assert app.listens is not None
    assert app.listens.state == {"heard_out": "heard_in"}
    assert app.sound is not None
    assert app.sound.samples == LENGTH
    assert isinstance(app.golden, AppGolden)
    steps = app.golden.steps
    assert steps is not None
    assert [(each.name, each.shape) for each in steps.inputs] == [("samples", (4, HOP))]
    assert [(each.name, each.shape) for each in steps.outputs] == [("logits", (4, len(LABELS)))]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"runtime": "openvino"}, "`openvino` does not run in a package for python"),
        ({"runtime": "litert"}, "no file with runtime `litert`"),
        ({"precision": "fp16"}, "no file with precision `fp16`"),
    ],
)
def test_a_file_that_is_not_there_is_told(bundle: Bundle, asked: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        contents(bundle, **asked)


def changed(bundle: Bundle, change: Callable[[dict[str, Any]], None]) -> Bundle:
    manifest = json.loads(json.dumps(bundle.manifest))
    change(manifest)
    return Bundle(bundle.path, manifest)


def test_what_cannot_be_packaged_is_told(bundle: Bundle) -> None:
    def for_openvino(manifest: Any) -> None:
        for each in manifest["files"]:
            each["runtime"] = "openvino"

    with pytest.raises(UserError, match="has files for openvino alone, and a package for python"):
        contents(changed(bundle, for_openvino))

    def several(manifest: Any) -> None:
        for each in manifest["files"]:
            each["inputs"] = [{"name": "a"}, {"name": "b"}]

    with pytest.raises(UserError, match=r"take several inputs \(a, b\)"):
        contents(changed(bundle, several))
    with pytest.raises(UserError, match="take neither pictures nor sound"):
        contents(changed(bundle, lambda manifest: manifest.update(preprocessing=None)))
    with pytest.raises(UserError, match="`task: keywords` cannot be packaged for elsewhere"):
        contents_of(
            changed(bundle, lambda manifest: manifest.update(task="keywords")),
            Platform("elsewhere", ("onnxruntime",), PICTURES), None, None,
        )  # fmt: skip

    def first_kind(manifest: Any) -> None:
        for each in manifest["files"]:
            each["golden"] = None

    with pytest.raises(UserError, match="carries no golden data"):
        contents(changed(bundle, first_kind))


def test_what_ships_is_passed_over_where_it_takes_what_the_platform_does_not(
    bundle: Bundle,
) -> None:
    whole = bundle.manifest["files"][0]
    integers = {**whole, "runtime": "litert", "input": {**whole["input"], "dtype": "int8"}}
    bundle.manifest["files"] = [integers, {**whole, "input": {**whole["input"], "dtype": "uint8"}}]
    bundle.manifest["shipped"] = {"runtime": "litert", "precision": whole["precision"]}
    output = whole["output"]["dtype"]
    browser = Platform("web", ("litert", "onnxruntime"), takes={"litert": ("uint8", output)})
    assert contents_of(bundle, browser, None, None).app.runtime == "onnxruntime"
    assert contents_of(bundle, browser, "litert", None).app.runtime == "litert", "as was asked for"
