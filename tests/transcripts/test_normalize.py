"""Transcripts as Whisper's own normalizers leave them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.errors import UserError
from edgedistill.transcripts.normalize import normalizer

pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("I won't go, he's said.", "i will not go he is said"),
        ("Twenty-one dollars and fifty cents!", "$21.50"),
        ("He paid $20 million in 1960s", "he paid $20000000 in 1960s"),
        ("the 274th, and the second", "the 274th and the 2nd"),
        ("Mr. Smith, um, went [applause] home (quietly)", "mister smith went home"),
        ("one oh one", "101"),
        ("Café", "cafe"),
        ("  ", ""),
    ],
)
def test_english_numbers_contractions_and_fillers(text: str, left: str) -> None:
    assert normalizer("en")(text) == left


def test_british_spellings_become_american_by_the_models_own_table(tmp_path: Path) -> None:
    (tmp_path / "normalizer.json").write_text(json.dumps({"colour": "color"}))
    assert normalizer("en", tmp_path)("The colour.") == "the color"
    assert normalizer("en")("The colour.") == "the colour"
    assert normalizer("en", tmp_path / "nothing")("The colour.") == "the colour"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("[1]", "normalizer.json: is no table of one spelling for another"),
        ('{"colour": 1}', "normalizer.json: is no table of one spelling for another"),
        ("{", "normalizer.json: not valid JSON"),
    ],
)
def test_a_table_that_is_none_is_told(tmp_path: Path, written: str, told: str) -> None:
    (tmp_path / "normalizer.json").write_text(written)
    with pytest.raises(UserError, match=told):
        normalizer("en", tmp_path)
    assert normalizer("de", tmp_path)("Die Farbe.") == "die farbe"


@pytest.mark.parametrize(
    ("language", "text", "left"),
    [
        ("de", "Straße, Übung!", "straße übung"),
        ("fr", "L'été… [rires] déjà", "l été déjà"),
        ("zh", "你好,世界。", "你 好 世 界"),
        ("ja", "ご視聴 ありがとう。", "ご 視 聴 あ り が と う"),
        ("ko", "안녕하세요, 여러분", "안녕하세요 여러분"),
        ("hi", "हिन्दी", "ह न द"),  # combining marks are lost, as in published figures
    ],
)
def test_other_languages_keep_their_letters(language: str, text: str, left: str) -> None:
    assert normalizer(language)(text) == left


NUMBERS = (
    "one two oh hundred thousand double and point a half second $3 ¢5 2.5 per cent % minus 20 th"
)


@given(st.one_of(st.text(), st.lists(st.sampled_from(NUMBERS.split())).map(" ".join)))
@settings(max_examples=60, deadline=None)
def test_any_text_is_left_without_double_spaces(text: str) -> None:
    for language in ("en", "de", "ja"):
        left = normalizer(language)(text)
        assert left == " ".join(left.split())


def test_a_normalizer_is_made_once() -> None:
    assert normalizer("en") is normalizer("en")


def test_a_number_that_python_does_not_read_is_told() -> None:
    with pytest.raises(UserError, match="a transcript cannot be normalized: `1111"):
        normalizer("en")("1" * 5000)


def test_without_transformers_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers.models.whisper", None)
    with pytest.raises(UserError) as raised:
        normalizer.__wrapped__("en")
    assert raised.value.message.startswith("comparing transcripts needs the package transformers (")
    assert raised.value.hint == "pip install 'edgedistill[huggingface]'"
