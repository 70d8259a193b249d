"""Drift of what apps counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgedistill
from edgedistill.bundle import Bundle, write_bundle
from edgedistill.command_line import run
from edgedistill.errors import UserError

Make = Callable[..., Any]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def bundle(make_result: Make, tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


def like(bundle: Bundle, count: int = 300) -> dict[str, Any]:
    """Counters that are distributed as the reference."""
    reference = bundle.manifest["reference"]
    bins, classes = (
        [round(count * share) for share in reference[name]]
        for name in ("confidence_shares", "class_shares")
    )
    bins[0] += count - sum(bins)
    classes[0] += count - sum(classes)
    return {
        "format": 1, "bundle": bundle.digest, "samples": count, "classes": classes,
        "edges": reference["edges"], "confidences": bins, "routed": 0,
    }  # fmt: skip


def written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_what_is_distributed_alike_is_stable(bundle: Bundle, tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{at}.json", like(bundle)) for at in range(2)]
    found = edgedistill.drift(bundle, counters=paths)
    assert (found["verdict"], found["observed"]["count"]) == ("stable", 600)
    assert found["confidence_shift"] is None
    assert found["note"].endswith("mean confidence is unknown.")


def test_one_class_alone_has_drifted(bundle: Bundle, tmp_path: Path, capsys: Capture) -> None:
    other = like(bundle)
    other["classes"] = [0, 0, other["samples"]]
    path = written(tmp_path / "x.json", other)
    assert run(["drift", str(bundle.path), str(path)]) == 1
    assert capsys.readouterr().out.startswith("Drifted: of 300 predictions")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bundle": "0" * 64}, "was counted by a model of another bundle"),
        ({"classes": [300]}, "counts 1 labels, and the bundle has 3"),
        ({"edges": [0.5]}, "its `edges` are not those of the bundle's reference"),
        ({"samples": 7}, "counts 300 answers, 300 confidences and says 7 samples"),
        ({"samples": -1}, "samples"),
        ({"format": 2}, "format"),
    ],
)
def test_counters_of_something_else_are_told(
    bundle: Bundle, tmp_path: Path, change: Any, told: str
) -> None:
    path = written(tmp_path / "x.json", like(bundle) | change)
    with pytest.raises(UserError, match=told):
        edgedistill.drift(bundle, counters=[path])


def test_nothing_counted_and_nothing_given(bundle: Bundle, tmp_path: Path) -> None:
    nothing = like(bundle)
    nothing |= {
        "samples": 0,
        "classes": [0, 0, 0],
        "confidences": [0] * len(nothing["confidences"]),
    }
    with pytest.raises(UserError, match="have counted nothing yet"):
        edgedistill.drift(bundle, counters=[written(tmp_path / "x.json", nothing)])
    with pytest.raises(UserError, match="of a folder or of counters"):
        edgedistill.drift(bundle)
