"""A bundle may come from anybody: whatever it says, it is read or told of, and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

import edgedistill
from edgedistill.artifact import file_digest
from edgedistill.bundle import Bundle, write_bundle
from edgedistill.bundle.manifest import Manifest, read_manifest
from edgedistill.errors import UserError
from edgedistill.report.audit import tables

Make = Callable[..., Any]
NASTY = [
    None, True, -1, 0, 3, 10**30, 1.5, float("nan"), float("inf"), "", "x", "../x", "/etc/passwd",
    "a\x00b", [], [1], {}, {"file": 1}, [{}], "\x1b[31m",
]  # fmt: skip


@pytest.fixture
def bundle(make_result: Make, tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


def edit(bundle: Bundle, name: str, change: Callable[[Any], Any]) -> None:
    path = bundle.path / name
    document = json.loads(path.read_text())
    path.write_text(json.dumps(change(document) or document))


def again(bundle: Bundle, **changes: Any) -> Bundle:
    """The bundle with parts of its manifest replaced."""
    edit(bundle, "edgedistill.json", lambda document: document.update(changes))
    return Bundle.load(bundle.path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files", []), ("files", [{}]), ("files", {}), ("labels", []), ("labels", ["a", 1]),
        ("shipped", "none.onnx"), ("shipped", None), ("task", "x"), ("preprocessing", {}),
        ("preprocessing", {"image_size": 10**9, "channels": 1}), ("temperature", 0),
        ("temperature", float("nan")), ("routing", None), ("digests", {"../x": 64 * "0"}),
        ("digests", {"x": "0"}), ("digests", {}), ("recipe", None), ("ok", "yes"),
        ("bundle_format", "3"), ("bundle_format", 10**400), ("texts", {"scale": "1"}),
    ],
)  # fmt: skip
def test_a_part_of_another_type_is_told(bundle: Bundle, key: str, value: Any) -> None:
    with pytest.raises(UserError, match=r"edgedistill\.json: |bundle format"):
        again(bundle, **{key: value})


@pytest.mark.parametrize("key", ["files", "labels", "shipped", "task", "digests", "temperature"])
def test_a_missing_part_is_told(bundle: Bundle, key: str) -> None:
    edit(bundle, "edgedistill.json", lambda document: document.pop(key) and None)
    with pytest.raises(UserError, match=f"edgedistill.json: the key `{key}` is missing"):
        Bundle.load(bundle.path)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a document."""
    inner = (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


@contextmanager
def something_changed(path: Path, data: some.DataObject) -> Iterator[None]:
    """One value of a document exchanged for a nasty one; what is then told is no failure."""
    whole = path.read_text()
    document = json.loads(whole)
    place = data.draw(some.sampled_from(places(document)[1:]))
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = data.draw(some.sampled_from(NASTY))
    path.write_text(json.dumps(document))
    try:
        with suppress(UserError):
            yield
    finally:
        path.write_text(whole)


@pytest.mark.parametrize(("key", "value"), [("channels", 3), ("image_size", [8, 16])])
def test_pictures_that_the_file_does_not_take_are_told(
    bundle: Bundle, key: str, value: Any
) -> None:
    said = {**bundle.manifest["preprocessing"], key: value}
    changed = again(bundle, preprocessing=said)
    with pytest.raises(UserError, match=r"takes pictures of shape \[1, 8, 8\], and the manifest"):
        changed.predict(np.zeros((8, 8), np.uint8))


many = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@many
@given(data=some.data())
def test_whatever_a_manifest_says_is_used_or_told(bundle: Bundle, data: some.DataObject) -> None:
    with something_changed(bundle.path / "edgedistill.json", data):
        found = Bundle.load(bundle.path)
        assert len(found.predict(np.zeros((8, 8), np.uint8))) == 1
        _ = found.ok, found.digest, found.files, found.golden()


@many
@given(data=some.data())
def test_an_audit_that_is_none_is_told(bundle: Bundle, data: some.DataObject) -> None:
    with something_changed(bundle.path / "audit.json", data):
        assert tables(edgedistill.audit(bundle))


def test_its_data_is_told_as_text_and_never_opened(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("open('ran', 'w')")
    data = {"source": "function", "function": "helper:data", "classes": ["a"], "image_size": 8}
    changed = again(bundle, recipe={"data": data})
    with pytest.raises(UserError, match="source `function`, function `helper:data`") as raised:
        edgedistill.evaluate(changed)
    assert "give --data" in raised.value.hint
    assert not Path("ran").exists()


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"files": 1}', '{"files": [{}]}'])
def test_a_report_that_is_none_is_told(bundle: Bundle, content: str | None) -> None:
    if content is None:
        (bundle.path / "report.json").unlink()
    else:
        (bundle.path / "report.json").write_text(content)
    with pytest.raises(UserError, match="report"):
        edgedistill.benchmark(bundle, runs=10)


def test_labels_of_another_number_than_the_files_give_are_told(bundle: Bundle) -> None:
    changed = again(bundle, labels=["bird", "cat"])
    pixels = np.zeros((8, 8), np.uint8)
    for ask in (
        lambda: changed.predict(pixels),
        lambda: edgedistill.evaluate(changed, ([pixels], [0])),
        lambda: edgedistill.audit(changed, ([pixels], [0])),
    ):
        with pytest.raises(UserError, match="gives 3 values for an image, and it names 2 labels"):
            ask()


def with_golden(bundle: Bundle, content: bytes) -> Bundle:
    path = bundle.path / "golden" / "inputs.npy"
    path.write_bytes(content)
    digests = {**bundle.manifest["digests"], "golden/inputs.npy": file_digest(path)}
    return again(bundle, digests=digests)


@pytest.mark.parametrize("kind", ["empty", "pickle", "lying", "flat", "none"])
def test_golden_inputs_of_another_kind_are_told(bundle: Bundle, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    made = {
        "pickle": np.array([{}], object), "flat": np.zeros(4, np.float32),
        "none": np.zeros((0, 1, 8, 8), np.float32),
    }.get(kind, np.zeros((2, 1, 8, 8), np.float32))  # fmt: skip
    np.save(path, made, allow_pickle=True)
    content = b"" if kind == "empty" else path.read_bytes()
    if kind == "lying":
        content = content.replace(b"(2, 1, 8, 8), }      ", b"(2, 1, 8, 8000000), }")
        assert b"8000000" in content
    with pytest.raises(UserError, match=r"golden/inputs\.npy: "):
        with_golden(bundle, content).golden()


def test_a_manifest_of_before_the_schema_is_read(tmp_path: Path) -> None:
    example = Path(__file__).with_name("format3.json")
    (tmp_path / "edgedistill.json").write_text(example.read_text())
    document = read_manifest(tmp_path)
    assert document == json.loads(example.read_text())
    manifest = Manifest.model_validate_json(example.read_text())
    assert manifest.files[0].input.shape in ((1, 16, 16, 1), (None, 1, 16, 16))
    assert manifest.preprocessing.image_size == 16
    assert manifest.measurements[0].p50_ms is not None


def test_a_manifest_is_written_by_the_model_that_reads_it(bundle: Bundle) -> None:
    path = bundle.path / "edgedistill.json"
    assert Manifest.model_validate_json(path.read_text()).as_json() == json.loads(path.read_text())
