"""A recognizer's bundle is written with the care that all bundles are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recognizer_bundles import COMPILED, bundled, made_up, vocabulary
from whisper_models import COUNT, RULES, SHAPE

import edgedistill
from edgedistill.artifact import file_digest
from edgedistill.bundle import Bundle, write_recognizer
from edgedistill.bundle.plain_rules import PLAIN
from edgedistill.bundle.recognizer import RecognizerManifest
from edgedistill.errors import UserError
from edgedistill.records.recognizer import VOCABULARY, RecognizerRecord

FILES = {"tiny.encode.onnx", "tiny.decode_step.onnx", VOCABULARY, PLAIN}


@pytest.fixture
def told(tmp_path: Path) -> RecognizerRecord:
    return made_up(tmp_path / "files", "onnxruntime")


@pytest.fixture
def bundle(told: RecognizerRecord, tmp_path: Path) -> Bundle:
    return bundled(tmp_path / "files", told, tmp_path / "out" / "bundle")


def test_a_bundle_holds_models_tokens_and_what_they_take(bundle: Bundle) -> None:
    assert {item.name for item in bundle.path.iterdir()} == FILES | {"edgedistill.json"}
    assert list(bundle.path.parent.iterdir()) == [bundle.path]
    manifest = bundle.manifest
    assert manifest["digests"] == {name: file_digest(bundle.path / name) for name in FILES}
    assert (manifest["task"], manifest["bundle_format"]) == ("transcription", 4)
    assert manifest["shipped"] == {"runtime": "onnxruntime", "precision": "fp32"}
    assert (manifest["window"], manifest["language"]) == (SHAPE.samples, "en")
    assert manifest["figures"] == {"word_error_rate": {"value": 50.0, "unit": "%"}}
    assert bundle.recognizer.rules == RULES and bundle.recognizer.width == COUNT
    assert bundle.tokens == vocabulary()
    assert bundle.ok and [each["program"] for each in bundle.files] == ["encode", "decode_step"]


def test_a_manifest_is_written_by_the_model_that_reads_it(bundle: Bundle) -> None:
    text = (bundle.path / "edgedistill.json").read_text()
    assert RecognizerManifest.model_validate_json(text).as_json() == json.loads(text)


def test_weights_that_lie_beside_a_file_go_with_it_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    told = made_up(folder, "onnxruntime", "openvino")
    for each in told.files:
        if each.runtime == "openvino":
            (folder / each.file).with_suffix(".bin").write_bytes(b"weights")
    (folder / "artifact.json").write_text("{}")
    sized = tuple(
        replace(each, bytes=each.bytes + (7 if each.runtime == "openvino" else 0))
        for each in told.files
    )
    bundle = bundled(folder, replace(told, files=sized), tmp_path / "bundle")
    parts = {f"tiny.{program}.{end}" for program in ("encode", "decode_step")
             for end in ("onnx", "xml", "bin")}  # fmt: skip
    assert {*bundle.manifest["digests"]} == parts | {VOCABULARY, PLAIN}


def test_reports_lie_beside_and_are_not_in_the_digest(
    told: RecognizerRecord, bundle: Bundle, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    again = write_recognizer(
        files, files / VOCABULARY, told, COMPILED, bundle.path,
        lambda folder: (folder / "report.json").write_text("{}"),
    )  # fmt: skip
    assert again.digest == bundle.digest and (again.path / "report.json").exists()
    with pytest.raises(UserError, match=r"report\.json: .*is missing"):
        _ = again.report
    bundled(files, told, bundle.path)
    assert not (bundle.path / "report.json").exists(), "an older bundle is replaced whole"


def test_what_is_no_part_of_a_bundle_is_left_where_it_is(
    told: RecognizerRecord, bundle: Bundle, tmp_path: Path
) -> None:
    (bundle.path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds what is no part of its bundle: notes\.txt"):
        bundled(tmp_path / "files", told, bundle.path)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="exists and is not a bundle; it was left alone"):
        bundled(tmp_path / "files", told, photos)


def test_a_bundle_that_would_not_be_read_is_not_written(
    told: RecognizerRecord, tmp_path: Path
) -> None:
    for wrong, message in (
        (replace(told, window=told.window + 1), "takes something else than `samples`"),
        (replace(told, files=told.files[:1]), "are not one of `encode` and one of"),
    ):
        with pytest.raises(UserError, match=message):
            bundled(tmp_path / "files", wrong, tmp_path / "bundle")
        assert not (tmp_path / "bundle").exists()
    with pytest.raises(UserError, match="`shipped`: no file is of litert and int8"):
        write_recognizer(
            tmp_path / "files", tmp_path / "files" / VOCABULARY, told,
            replace(COMPILED, shipped=("litert", "int8")), tmp_path / "bundle",
        )  # fmt: skip


def test_what_only_classifiers_do_is_refused_with_the_way_out(bundle: Bundle) -> None:
    sound = np.zeros(100, np.float32)
    asked = (
        lambda: bundle.predict(sound), lambda: bundle.listen(sound), lambda: bundle.labels,
        lambda: bundle.task, lambda: bundle.form, lambda: bundle.model(), lambda: bundle.stream(),
        bundle.golden, bundle.golden_inputs, lambda: edgedistill.drift(bundle, bundle.path),
        lambda: edgedistill.compare(bundle, bundle),
    )  # fmt: skip
    for ask in asked:
        with pytest.raises(UserError, match="holds a recognizer of speech") as raised:
            ask()
        assert "`bundle.transcribe(sound)`" in raised.value.hint
    for ask, told in (
        (lambda: edgedistill.evaluate(bundle, ([sound], [0])), "which recordings"),
        (lambda: edgedistill.audit(bundle), "report.json"),
    ):
        with pytest.raises(UserError, match=told):
            ask()
