"""What a recognizer's bundle says of itself: from anybody, read or told of, and nothing runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from recognizer_bundles import bundled, made_up
from whisper_models import COUNT, END, SHAPE

from edgedistill.artifact import file_digest, write_json
from edgedistill.bundle import Bundle
from edgedistill.bundle.manifest import is_bundle
from edgedistill.errors import UserError

Change = Callable[[dict[str, Any]], object]
NASTY = [
    None, True, -1, 0, 3, 10**30, 1.5, float("nan"), float("inf"), "", "x", "../x", "/etc/passwd",
    "a\x00b", [], [1], {}, {"file": 1}, [{}], "\x1b[31m", [1, None], "float64", "encode",
]  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("made")
    told = made_up(folder, "onnxruntime", "openvino")
    return bundled(folder, told, folder.with_name("fit"))


def changed(bundle: Bundle, folder: Path, change: Change) -> Path:
    """A copy with another manifest."""
    shutil.copytree(bundle.path, folder)
    document = json.loads((folder / "edgedistill.json").read_text())
    change(document)
    (folder / "edgedistill.json").write_text(json.dumps(document))
    return folder


def put(*place: Any) -> Change:
    """Set what lies at all of the place but its last, to that."""

    def change(document: dict[str, Any]) -> None:
        *path, last, value = place
        inner: Any = document
        for key in path:
            inner = inner[key]
        inner[last] = value

    return change


def within(*place: Any, change: Callable[[Any], object]) -> Change:
    """Do something to what lies there."""

    def at(document: dict[str, Any]) -> None:
        inner: Any = document
        for key in place:
            inner = inner[key]
        change(inner)

    return at


STEP = ("files", 1, "signature")
ENCODE = ("files", 0, "signature")
STATE = 2 + 2 * SHAPE.decoder_layers
"""Place among a step's inputs of its first state."""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put("bundle_format", 3), "bundle_format"),
        (put("bundle_format", 5), "bundle format 5"),
        (put("task", "dictation"), "task"),
        (put("language", "../en"), "language"),
        (put("rate", 0), "rate"),
        (put("window", 10**12), "window"),
        (put("files", []), "files"),
        (put("files", 0, "file", "../x.onnx"), "the name of a file within the bundle"),
        (put("files", 0, "file", "/etc/passwd"), "the name of a file within the bundle"),
        (put("vocabulary", "../vocabulary.json"), "the name of a file within the bundle"),
        (put("files", 0, "bytes", -1), "bytes"),
        (put("files", 0, "program", "main"), "program"),
        (put("digests", {"../x": 64 * "0"}), "the name of a file within the bundle"),
        (put("digests", {"x": "0"}), "digests"),
        (put("files", 0, "file", "other.onnx"), "names `other.onnx` without its digest"),
        (put("vocabulary", "other.json"), "names `other.json` without its digest"),
        (put("files", 0, "program", "decode_step"), "onnxruntime and fp32 are not one of"),
        (within("files", change=lambda files: files.pop(0)), "onnxruntime and fp32 are not one of"),
        (within("files", change=lambda files: files.append(files[0])), "are not one of `encode`"),
        (put("shipped", {"runtime": "litert", "precision": "fp32"}), "no file is of litert"),
        (put("shipped", "tiny.encode.onnx"), "shipped"),
        (put("window", SHAPE.samples + 160), "something else than `samples`, 16160 of the window"),
        (put(*ENCODE, "inputs", 0, "name", "pixels"), "something else than `samples`"),
        (put(*ENCODE, "inputs", []), "something else than `samples`"),
        (put(*ENCODE, "state", {"cross_key_0": "samples"}), "something else than `samples`"),
        (put(*ENCODE, "outputs", 0, "name", "key"), "something else than what `encode` and a step"),
        (put(*ENCODE, "outputs", 0, "shape", [1, 4, 49, 8]), "is not what it is fed"),
        (put(*ENCODE, "outputs", 0, "dtype", "float16"), "is not what it is fed"),
        (put(*ENCODE, "outputs", 0, "dtype", "object"), "is no tensor of a recognizer: object"),
        (put(*ENCODE, "outputs", 0, "shape", [None, 4, 50, 8]), "is no tensor of a recognizer"),
        (put(*ENCODE, "outputs", 0, "shape", [1, 10**5, 10**5]), "is no tensor of a recognizer"),
        (put(*ENCODE, "outputs", 0, "shape", []), "is no tensor of a recognizer"),
        (put(*ENCODE, "outputs", 0, "shape", [1, -4, -50, 8]), "is no tensor of a recognizer"),
        (put(*ENCODE, "outputs", 0, "scale", 0.1), "is no tensor of a recognizer"),
        (put(*ENCODE, "outputs", 0, "zero_point", 1), "is no tensor of a recognizer"),
        (put(*ENCODE, "outputs", 1, "name", "cross_key_0"), "two outputs, have one name"),
        (put(*STEP, "inputs", 0, "dtype", "float32"), "one `token` at one `position`, int32"),
        (put(*STEP, "inputs", 1, "shape", [1, 1]), "one `token` at one `position`, int32"),
        (put(*STEP, "inputs", 1, "name", "place"), "one `token` at one `position`, int32"),
        (within(*STEP, "inputs", change=lambda each: each.pop()), "something else than what"),
        (put(*STEP, "state", {}), "something else than what `encode` and a step give"),
        (put(*STEP, "state", "next_key_0", "token"), "something else than what `encode` and"),
        (put(*STEP, "state", "next_key_0", "value_0"), "something else than what `encode` and"),
        (put(*STEP, "outputs", 0, "name", "scores"), "something else than `logits`"),
        (put(*STEP, "outputs", []), "something else than `logits`"),
        (put(*STEP, "outputs", 1, "shape", [1, 4, 23, 8]), "`key_0` of `decode_step` is not what"),
        (put(*STEP, "outputs", 0, "shape", [1, 1, COUNT]), "`logits` are not one for each token"),
        (put(*STEP, "outputs", 0, "shape", [1, COUNT - 1]), "choose from different numbers"),
        (put("rules", "limit", SHAPE.tokens + 1), "`key_0` has no place for 25 tokens"),
        (put("rules", "limit", 4), "cannot begin with 4"),
        (put("rules", "prompt", []), "cannot begin with 0"),
        (put("rules", "prompt", 0, COUNT), f"{COUNT} is none of {COUNT} tokens"),
        (put("rules", "end", -1), f"-1 is none of {COUNT} tokens"),
        (put("rules", "suppressed", [COUNT]), "is none of"),
        (put("rules", "suppressed_first", [-3]), "is none of"),
        (put("rules", "suppressed", [END]), "names the end"),
        (put("rules", "no_speech", COUNT), "is none of"),
        (put("rules", "end", True), "rules.end"),
        (put("guards", "repeats", -1), "`repeats` are 0 to"),
        (put("guards", "longest", 10**9), "`longest` is 1 to"),
        (put("guards", "no_speech", 2.0), "is no probability"),
        (put("figures", []), "figures"),
        (put("machine", None), "machine"),
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself_is_told(
    bundle: Bundle, tmp_path: Path, change: Change, told: str
) -> None:
    folder = changed(bundle, tmp_path / "b", change)
    with pytest.raises(UserError) as raised:
        Bundle.load(folder)
    assert told in raised.value.message and raised.value.hint
    assert str(folder) in raised.value.message
    assert not is_bundle(folder)


def test_states_at_both_ends_are_held_against_the_limit(bundle: Bundle, tmp_path: Path) -> None:
    def short(document: dict[str, Any]) -> None:
        step = document["files"][1]["signature"]
        for each in (*step["inputs"][STATE:], *step["outputs"][1:]):
            each["shape"][2] = 23

    with pytest.raises(UserError, match=r"`rules\.limit`: `key_0` has no place for 24 tokens"):
        Bundle.load(changed(bundle, tmp_path / "b", short))


@pytest.mark.parametrize(
    "key", ["task", "rules", "guards", "rate", "window", "files", "digests", "shipped", "language"]
)
def test_a_missing_part_is_told(bundle: Bundle, tmp_path: Path, key: str) -> None:
    folder = changed(bundle, tmp_path / "b", lambda document: document.pop(key))
    with pytest.raises(UserError, match=r"edgedistill\.json: .*the key `\w+` is missing"):
        Bundle.load(folder)


def test_a_file_of_another_size_or_content_is_told(bundle: Bundle, tmp_path: Path) -> None:
    folder = changed(bundle, tmp_path / "b", put("files", 0, "bytes", 5))
    with pytest.raises(UserError, match="has 16 bytes, and the manifest says 5"):
        Bundle.load(folder)
    folder = changed(bundle, tmp_path / "c", lambda _: None)
    file = folder / "tiny.encode.onnx"
    file.write_bytes(b"x" * 16)
    with pytest.raises(UserError, match=r"tiny\.encode\.onnx was changed"):
        Bundle.load(folder)
    file.unlink()
    with pytest.raises(UserError, match=r"tiny\.encode\.onnx is missing"):
        Bundle.load(folder)
    file.symlink_to(bundle.path / file.name)
    with pytest.raises(UserError, match=r"tiny\.encode\.onnx leads out of the bundle"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda each: each["pieces"].pop(), f"is of {COUNT - 1} tokens, and its files choose"),
        (lambda each: each["named"].update(x=COUNT), "names one beyond them (`x`)"),
        (lambda each: each["named"].update(x="1"), "is no table of tokens"),
        (lambda each: each["pieces"].__setitem__(0, "?"), "cannot be read"),
        (lambda each: each.update(pieces=None), "cannot be read"),
        (lambda each: each.clear(), "cannot be read"),
    ],
)
def test_tokens_that_are_not_the_files_are_told(
    bundle: Bundle, tmp_path: Path, change: Change, told: str
) -> None:
    folder = changed(bundle, tmp_path / "b", lambda _: None)
    tokens = json.loads((folder / "vocabulary.json").read_text())
    change(tokens)
    write_json(folder / "vocabulary.json", tokens)
    document = json.loads((folder / "edgedistill.json").read_text())
    document["digests"]["vocabulary.json"] = file_digest(folder / "vocabulary.json")
    write_json(folder / "edgedistill.json", document)
    with pytest.raises(UserError) as raised:
        Bundle.load(folder)
    assert told in raised.value.message


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a document."""
    inner = (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


@settings(max_examples=100, deadline=None)
@given(data=some.data())
def test_whatever_a_manifest_says_is_read_or_told(bundle: Bundle, data: some.DataObject) -> None:
    path = bundle.path / "edgedistill.json"
    whole = path.read_text()
    document = json.loads(whole)
    place = data.draw(some.sampled_from(places(document)[1:]))
    put(*place, data.draw(some.sampled_from(NASTY)))(document)
    path.write_text(json.dumps(document))
    try:
        with suppress(UserError):
            found = Bundle.load(bundle.path)
            _ = found.ok, found.digest, found.files, found.recognizer, found.tokens
    finally:
        path.write_text(whole)
