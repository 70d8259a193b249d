from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgedistill
from edgedistill.bundle import write_bundle
from edgedistill.errors import UserError
from edgedistill.report.audit import tables
from edgedistill.runtimes import features


@pytest.fixture
def bundle(make_result: Callable[..., Any], tmp_path: Path) -> edgedistill.Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


def pictures(folder: Path, values: Any) -> Path:
    folder.mkdir()
    for place, value in enumerate(values):
        Image.new("L", (8, 8), int(value)).save(folder / f"{place}.png")
    return folder


def test_the_compiles_audit_is_in_the_bundle(bundle: edgedistill.Bundle) -> None:
    found = edgedistill.audit(bundle)
    assert found["images"] == 300
    titles = [title for title, _, _ in tables(found)]
    assert titles[:3] == [
        "Students, and the file that ships", "Classes, of the file that ships",
        "Against the teacher",
    ]  # fmt: skip
    for title, header, rows in tables(found):
        assert rows, title
        assert {len(row) for row in rows} == {len(header)}, title


def test_other_images_are_audited_without_the_teacher(bundle: edgedistill.Bundle) -> None:
    images = np.stack([np.full((8, 8, 1), value, np.uint8) for value in (0, 0, 255, 255)])
    found = edgedistill.audit(bundle, (images, [0, 2, 2, 2]))
    assert found["images"] == 4
    shipped = found["students"]["shipped"]
    assert shipped["overall"]["student_accuracy"] == 75.0
    assert shipped["agreement"] is None
    assert [title for title, _, _ in tables(found)] == [
        "Students, and the file that ships", "Classes, of the file that ships",
    ]  # fmt: skip


def test_an_audit_that_was_taken_out_is_missed(bundle: edgedistill.Bundle) -> None:
    (bundle.path / "audit.json").unlink()
    with pytest.raises(UserError, match=r"the bundle's audit not found: .*audit\.json"):
        edgedistill.audit(bundle.path)


def test_drift_compares_with_what_the_bundle_carries(
    bundle: edgedistill.Bundle, tmp_path: Path
) -> None:
    from edgedistill.bundle.audit import drift
    from edgedistill.tasks import drift as drifting

    usual = np.random.default_rng(0).integers(0, 256, 200)
    images = np.stack([np.full((8, 8, 1), value, np.uint8) for value in usual])
    logits, inner = _seen(bundle)(bundle.pixels(images))
    bundle.manifest["reference"] = drifting.describe(logits, inner)
    same = np.random.default_rng(1).integers(0, 256, 200)
    assert drift(bundle, pictures(tmp_path / "same", same))["verdict"] == "stable"
    dark = drift(bundle, pictures(tmp_path / "dark", np.full(200, 3)))
    assert dark["verdict"] == "drifted"
    assert dark["note"].startswith("Drifted: of 200 predictions against 200")
    assert dark["feature_shift"] > 1


def _seen(bundle: edgedistill.Bundle) -> Any:
    entry = bundle.file()
    return features.load(bundle.path / entry["file"], entry["runtime"])


def test_a_number_added_to_every_logit_is_no_drift(
    bundle: edgedistill.Bundle, tmp_path: Path
) -> None:
    """Of the logits' means, which were compared once, the same moves the mean by its own length."""
    import onnx
    from onnx import numpy_helper

    from edgedistill.bundle.audit import drift
    from edgedistill.tasks import drift as drifting

    usual = np.random.default_rng(0).integers(0, 256, 200)
    images = np.stack([np.full((8, 8, 1), value, np.uint8) for value in usual])
    logits, inner = _seen(bundle)(bundle.pixels(images))
    bundle.manifest["reference"] = drifting.describe(logits, inner)
    field = pictures(tmp_path / "field", np.random.default_rng(1).integers(0, 256, 200))
    before = drift(bundle, field)
    path = bundle.path / bundle.file()["file"]
    model = onnx.load(path)
    bias = next(each for each in model.graph.initializer if each.name == "bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(5), "bias"))
    onnx.save(model, path)
    after = drift(bundle, field)
    assert after["verdict"] == before["verdict"] == "stable"
    assert after["feature_shift"] == before["feature_shift"]


def test_drift_and_evaluate_leave_out_what_is_broken_and_say_so(
    bundle: edgedistill.Bundle, tmp_path: Path
) -> None:
    from edgedistill.bundle.audit import drift

    field = pictures(tmp_path / "field", np.arange(0, 250))
    (field / "7.png").write_bytes(b"no picture")
    found = drift(bundle, field)
    assert found["observed"]["count"] == 249
    assert found["left_out"] == 1
    assert found["notes"][0].startswith(
        "1 of 250 images cannot be read and are left out: field/7.png: cannot be decoded: "
    )
    (tmp_path / "known").mkdir()
    labelled = pictures(tmp_path / "known" / "cat", (0, 90, 255))
    (labelled / "0.png").write_bytes(b"no picture")
    row = edgedistill.evaluate(bundle.path, tmp_path / "known")[0]
    assert (row["images"], row["left_out"]) == (2, 1)
    assert row["notes"][0].startswith("1 of 3 images cannot be read and are left out: known/cat/")
    assert edgedistill.audit(bundle.path, tmp_path / "known")["notes"] == row["notes"]
    for at in range(8, 250):
        (field / f"{at}.png").write_bytes(b"no picture")
    for at in range(5):
        (field / f"{at}.png").unlink()
    with pytest.raises(UserError, match="too few to tell"):
        drift(bundle, field)


def test_a_fallback_answers_where_the_student_is_unsure(bundle: edgedistill.Bundle) -> None:
    images = [np.full((8, 8, 1), value, np.uint8) for value in (0, 110, 255)]
    alone = bundle.predict(images)
    asked: list[int] = []

    def teacher(pixels: np.ndarray) -> np.ndarray:
        asked.append(len(pixels))
        return np.tile(np.array([[0.0, 9.0, 0.0]]), (len(pixels), 1))

    middle = sorted(each.confidence for each in alone)[1]
    found = bundle.predict(images, fallback=teacher, threshold=middle)
    assert asked == [1]
    assert [each.routed for each in found].count(True) == 1
    assert next(each for each in found if each.routed).label == "cat"
    assert bundle.predict(images, fallback=teacher, threshold=0.0) == alone
    assert bundle.predict(images, fallback=teacher)[0].confidence > 0  # the bundle's own threshold
    bundle.manifest["routing"] = {}
    with pytest.raises(UserError, match="no threshold was chosen"):
        bundle.predict(images, fallback=teacher)
