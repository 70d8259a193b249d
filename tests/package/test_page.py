"""What the pages of packages say of a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recognizer_bundles import bundled, record, vocabulary
from tone_net import compiled
from whisper_models import folded, whisper, written

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.package import package, page
from edgedistill.package.platforms import PLATFORMS
from edgedistill.records.recognizer import VOCABULARY

Make = Callable[..., Any]
every_platform = pytest.mark.parametrize("platform", PLATFORMS)


@pytest.fixture(scope="module")
def keywords(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("keywords")
    return write_bundle(compiled(folder / "made"), folder / "bundle")


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("speech")
    vocabulary().write(folder / VOCABULARY)
    read = record({"onnxruntime": written(folded(whisper()), "onnxruntime", folder)})
    return bundled(folder, read, folder / "bundle")


@pytest.fixture
def pictures(make_result: Make, tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "bundle")


def told(bundle: Bundle, platform: str, out: Path) -> str:
    text = (package(bundle, platform, out).path / "README.md").read_text()
    assert "{{" not in text
    assert not [line for line in text.splitlines() if page._ONLY.match(line)]
    for all_say in ("under the Apache License 2.0", "MIT License", f"--platform {platform} --out"):
        assert all_say in " ".join(text.split())
    return text


@every_platform
def test_of_a_picture(pictures: Bundle, tmp_path: Path, platform: str) -> None:
    text = told(pictures, platform, tmp_path / "out")
    assert "becomes 8 x 8 pixels, grey: the largest part in its middle" in text
    assert "`route` is true where the confidence is below" in text
    assert "edgedistill drift BUNDLE" in text
    assert "samples a second" not in text


@every_platform
def test_of_keywords(keywords: Bundle, tmp_path: Path, platform: str) -> None:
    text = told(keywords, platform, tmp_path / "out")
    assert "Hears keywords in a stream of sound" in text
    assert "The package resamples nothing" in text
    assert "A picture of any size" not in text


@every_platform
def test_of_speech(speech: Bundle, tmp_path: Path, platform: str) -> None:
    text = told(speech, platform, tmp_path / "out")
    assert f"Writes down what is said (language: `{speech.recognizer.language}`)" in text
    assert "cut where it is quiet" in text
    for no_speech in ("`route`", "ounters", "A picture of any size"):
        assert no_speech not in text


def test_a_paragraph_is_kept_where_it_is_true() -> None:
    text = "a\n\n[speech|sound] b\n\n[picture] c\n\n[link](d)\n"
    assert page._fitting(text, {"sound"}) == "a\n\nb\n\n[link](d)\n"
