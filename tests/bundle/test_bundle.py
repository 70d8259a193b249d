from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgedistill
from edgedistill.bundle import Bundle, write_bundle
from edgedistill.bundle.write import check_place
from edgedistill.data import Form
from edgedistill.errors import UserError

Make = Callable[..., Any]
DIGESTED = {
    "golden/inputs.npy", "golden/outputs_tiny.fp32.onnx.npy", "golden/outputs_tiny.int8.onnx.npy",
    "golden/tiny.fp32.onnx/input.npy", "golden/tiny.fp32.onnx/output.npy",
    "golden/tiny.int8.onnx/input.npy", "golden/tiny.int8.onnx/output.npy",
    "tiny.fp32.onnx", "tiny.int8.onnx",
}  # fmt: skip


@pytest.fixture
def bundle(make_result: Make, tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "out" / "bundle")


def test_a_bundle_holds_models_golden_data_and_reports(bundle: Bundle) -> None:
    names = {item.relative_to(bundle.path).as_posix() for item in bundle.path.rglob("*.*")}
    assert names == {
        "audit.json", "edgedistill.json", "report.html", "report.json", *DIGESTED,
        "golden/tiny.fp32.onnx", "golden/tiny.int8.onnx",
    }  # fmt: skip
    assert list(bundle.path.parent.iterdir()) == [bundle.path]
    assert bundle.labels == ["bird", "cat", "ship"]
    assert set(bundle.manifest["digests"]) == DIGESTED
    figures = [row["p50_ms"] for row in bundle.manifest["measurements"]]
    assert {figure["how"] for figure in figures} == {"measured"}
    assert all("this machine" in figure["where"] for figure in figures)


def test_the_digest_does_not_depend_on_when_or_where_it_was_measured(
    bundle: Bundle, make_result: Make, tmp_path: Path
) -> None:
    again = write_bundle(make_result(), tmp_path / "again")
    assert again.digest == bundle.digest


def test_an_older_bundle_is_replaced_even_a_damaged_one(bundle: Bundle, make_result: Make) -> None:
    (bundle.path / "tiny.fp32.onnx").write_bytes(b"changed")
    (bundle.path / "tiny.int8.onnx").unlink()
    again = write_bundle(make_result(), bundle.path)
    assert again.digest == bundle.digest
    assert list(bundle.path.parent.iterdir()) == [bundle.path]


@pytest.mark.parametrize("place", ["notes.txt", "golden/mine.npy", "more/notes.txt", ".hidden"])
def test_what_is_no_part_of_a_bundle_is_left_where_it_is(
    bundle: Bundle, make_result: Make, place: str
) -> None:
    (bundle.path / place).parent.mkdir(exist_ok=True)
    (bundle.path / place).write_text("mine")
    with pytest.raises(UserError, match="holds what is no part of its bundle: ") as raised:
        write_bundle(make_result(), bundle.path)
    assert place in raised.value.message
    assert (bundle.path / place).read_text() == "mine"
    assert Bundle.load(bundle.path).digest == bundle.digest


@pytest.mark.parametrize(
    "manifest", [{"bundle_format": 3}, {"bundle_format": 3, "digests": {"thesis.doc": 64 * "0"}}]
)
def test_a_folder_that_only_says_it_is_a_bundle_is_left_alone(
    make_result: Make, tmp_path: Path, manifest: dict[str, Any]
) -> None:
    place = tmp_path / "work"
    place.mkdir()
    (place / "thesis.doc").write_text("mine")
    (place / "edgedistill.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="exists and is not a bundle; it was left alone"):
        write_bundle(make_result(), place)
    assert (place / "thesis.doc").read_text() == "mine"


@pytest.mark.parametrize("moved", [True, False])
def test_what_a_killed_run_left_beside_the_bundle_goes(
    bundle: Bundle, make_result: Make, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = bundle.path.with_name(f".{bundle.path.name}.edgedistill-abc")
    (left / "bundle").mkdir(parents=True)
    if moved:
        bundle.path.rename(left / "old")
    others = bundle.path.with_name(".bundle.edgedistill-mine")
    (others / "notes").mkdir(parents=True)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("edgedistill.bundle.write._fill", fail)
    with pytest.raises(RuntimeError):
        write_bundle(make_result(), bundle.path)
    assert Bundle.load(bundle.path).digest == bundle.digest, "it is back where it was"
    assert sorted(bundle.path.parent.iterdir()) == [others, bundle.path]


def test_a_folder_that_is_no_bundle_is_left_alone(make_result: Make, tmp_path: Path) -> None:
    place = tmp_path / "photos"
    place.mkdir()
    (place / "cat.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="exists and is not a bundle; it was left alone"):
        write_bundle(make_result(), place)
    assert [item.name for item in place.iterdir()] == ["cat.jpg"]


def test_a_mount_point_is_told_of_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    check_place(place)
    monkeypatch.setattr(Path, "is_mount", lambda path: path == place)
    with pytest.raises(UserError, match="is a mount point, which cannot be replaced in one move"):
        check_place(place)
    check_place(place / "bundle")


def test_nothing_is_left_where_writing_fails(
    make_result: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere/in/the/cache")

    monkeypatch.setattr("edgedistill.bundle.write.write_html", fail)
    with pytest.raises(UserError, match=r"the disk of .*/out is full \(\d+ MB free\)") as raised:
        write_bundle(make_result(), tmp_path / "out" / "bundle")
    assert "another disk with --out" in raised.value.hint
    assert list((tmp_path / "out").iterdir()) == []


def test_a_changed_file_is_noticed(bundle: Bundle) -> None:
    with (bundle.path / "tiny.int8.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(UserError, match=r"tiny\.int8\.onnx was changed after"):
        Bundle.load(bundle.path)
    (bundle.path / "tiny.int8.onnx").unlink()
    with pytest.raises(UserError, match=r"tiny\.int8\.onnx is missing"):
        Bundle.load(bundle.path)


def test_a_manifest_cannot_lead_out_of_the_bundle(bundle: Bundle) -> None:
    manifest = json.loads((bundle.path / "edgedistill.json").read_text())
    manifest["files"][0]["file"] = "../../elsewhere.onnx"
    (bundle.path / "edgedistill.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"files\.0\.file: must be the name of a file within"):
        Bundle.load(bundle.path)


def test_nor_can_a_link_in_it(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.path / "tiny.int8.onnx").rename(tmp_path / "elsewhere.onnx")
    (bundle.path / "tiny.int8.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(UserError, match=r"tiny\.int8\.onnx leads out of the bundle"):
        Bundle.load(bundle.path)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"bundle_format": 99}'])
def test_what_is_no_bundle_says_so(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "edgedistill.json").write_text(content)
    with pytest.raises(UserError, match=r"not a bundle|bundle format 99"):
        Bundle.load(tmp_path)


def test_predict_takes_arrays_pictures_and_paths(bundle: Bundle, tmp_path: Path) -> None:
    light, dark = np.full((8, 8), 255, np.uint8), np.zeros((20, 24, 3), np.uint8)
    Image.fromarray(light).save(tmp_path / "light.png")
    found = bundle.predict([light, dark, Image.fromarray(dark), tmp_path / "light.png"])
    assert [each.label for each in found] == ["ship", "bird", "bird", "ship"]
    assert sum(found[0].scores.values()) == pytest.approx(1)
    assert found[0].confidence == max(found[0].scores.values())
    assert bundle.predict(light)[0] == found[0]
    assert bundle.predict(np.stack([light, light])[..., None])[1] == found[0]
    assert bundle.predict([]) == []


def test_a_file_that_is_not_there_is_named(bundle: Bundle) -> None:
    assert bundle.file()["file"] == "tiny.int8.onnx"
    assert bundle.file(precision="fp32")["file"] == "tiny.fp32.onnx"
    with pytest.raises(UserError, match="no file with precision `int4`"):
        bundle.file(precision="int4")


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_a_bundle_of_another_task_is_whole_without_an_audit(
    task: str, make_result: Make, tmp_path: Path
) -> None:
    result = make_result(task=task)
    del result.artifacts["audit"]
    bundle = write_bundle(result, tmp_path / task)
    assert "Beyond accuracy" not in (bundle.path / "report.html").read_text()
    (found,) = bundle.predict(np.zeros((8, 8, 1), np.uint8))
    logits = bundle.model()(np.zeros((1, 1, 8, 8), np.float32))[0]
    scores = np.array([found.scores[label] for label in bundle.labels])
    if task == "regression":
        assert (found.label, found.confidence) == (None, None)
        assert np.allclose(scores, logits)
    else:
        assert found.label == bundle.labels[int(logits.argmax())]
        assert np.allclose(scores, 1 / (1 + np.exp(-logits)))
    with pytest.raises(UserError, match="that takes a classifier"):
        bundle.predict(np.zeros((8, 8, 1), np.uint8), fallback=lambda pixels: pixels, threshold=0.5)
    for ask in (edgedistill.audit, lambda one: edgedistill.drift(one, tmp_path)):
        with pytest.raises(UserError, match=r"only those are audited|no reference") as raised:
            ask(bundle)
        assert raised.value.hint


def test_a_photo_becomes_what_the_manifest_says(make_result: Make, tmp_path: Path) -> None:
    bundle = write_bundle(make_result(), tmp_path / "bundle")
    said = bundle.manifest["preprocessing"]
    assert said["image_size"] == [8, 8]
    assert (said["resize"]["how"], said["resize"]["padding"]) == ("crop", None)
    said["image_size"], said["resize"] = [8, 16], {"how": "fit", "padding": 0}
    pixels = bundle.pixels(np.full((8, 8), 255, np.uint8))
    assert pixels.shape == (1, 1, 8, 16)
    assert pixels[0, 0, 0].tolist() == [0] * 4 + [1] * 8 + [0] * 4


def test_a_bundle_of_squares_is_still_read(make_result: Make, tmp_path: Path) -> None:
    write_bundle(make_result(), tmp_path / "bundle")
    path = tmp_path / "bundle" / "edgedistill.json"
    document = json.loads(path.read_text())
    document["preprocessing"]["image_size"] = 8
    document["preprocessing"]["resize"] = "the middle square, bilinear, to image_size"
    path.write_text(json.dumps(document))
    assert Bundle.load(path.parent).form == Form((8, 8), 1)
