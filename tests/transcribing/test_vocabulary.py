"""Tokens are pieces of text, whole characters or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper_models import COUNT, END, NAMED, PIECES, change, save, table, tokenizer, whisper

from edgedistill.errors import UserError
from edgedistill.transcribing.vocabulary import Vocabulary, read_vocabulary

TOKENS = st.lists(st.integers(0, COUNT - 1))


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return read_vocabulary(save(tmp_path_factory.mktemp("whisper") / "tiny", whisper()), COUNT)


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_any_text_in_bytes_is_given_back(vocabulary: Vocabulary, text: str) -> None:
    assert vocabulary.text(text.encode()) == text.strip()


@settings(max_examples=40, deadline=None)
@given(TOKENS)
def test_any_tokens_are_text(vocabulary: Vocabulary, tokens: list[int]) -> None:
    said = b"".join(vocabulary.pieces[each] for each in tokens)
    assert vocabulary.text(tokens) == said.decode(errors="replace").strip()
    assert vocabulary.text([NAMED["<|en|>"], *tokens, END]) == vocabulary.text(tokens)


def test_a_character_may_lie_in_several_tokens(vocabulary: Vocabulary) -> None:
    assert vocabulary.text([0xC3, 0xA9]) == "é"
    assert vocabulary.text([0xC3]) == vocabulary.text([0xA9]) == "\ufffd"
    assert vocabulary.text([256 + PIECES.index(each) for each in (" t", "he", "é")]) == "theé"


def test_what_is_no_text_says_nothing(vocabulary: Vocabulary) -> None:
    assert vocabulary.named == NAMED
    assert len(vocabulary.pieces) == COUNT
    assert vocabulary.pieces[END:] == (b"",) * (COUNT - END)
    assert vocabulary.text([END, *range(END, COUNT)]) == ""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, COUNT - 1), unique=True))
def test_a_part_says_the_same_under_other_numbers(vocabulary: Vocabulary, kept: list[int]) -> None:
    part = vocabulary.trimmed(kept)
    assert part.text(range(len(kept))) == vocabulary.text(kept)
    assert {name: kept[number] for name, number in part.named.items()} == {
        name: number for name, number in NAMED.items() if number in kept
    }


def test_ascii_has_what_is_no_text_too(vocabulary: Vocabulary) -> None:
    found = vocabulary.ascii()
    assert found[:128] == list(range(128))
    beyond = [256 + place for place, piece in enumerate(PIECES) if piece.isascii()]
    assert found[128:] == [*beyond, *range(END, COUNT)]


def test_tables_of_before_are_read_too(vocabulary: Vocabulary, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps(table() | {"<|endoftext|>": END}))
    (tmp_path / "added_tokens.json").write_text(json.dumps(NAMED))
    assert read_vocabulary(tmp_path, COUNT) == vocabulary


def test_a_table_alone_is_read(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps(table()))
    found = read_vocabulary(tmp_path, COUNT)
    assert (found.text(b"as it is"), found.named) == ("as it is", {})


def refused(folder: Path, count: int = COUNT) -> UserError:
    with pytest.raises(UserError) as error:
        read_vocabulary(folder, count)
    return error.value


def test_without_a_table_it_is_told_what_is_missing(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert error.message == f"a tokenizer not found: {tmp_path / 'vocab.json'}"
    assert error.hint == "give the folder with its `tokenizer.json`, as transformers saves it"


def test_another_models_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer()))
    assert refused(tmp_path, 266).message == (
        f"{path}: has the token `1.`, whose number is beyond the model's 266 tokens: it is another "
        "model's"
    )
    assert "has the token `<|endoftext|>`" in refused(tmp_path, END).message
    read_vocabulary(tmp_path, max(NAMED.values()) + 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": None}, "has no tokens under `model.vocab`"),
        ({"model": {}}, "has no tokens under `model.vocab`"),
        ({"model": [1]}, "has no tokens under `model.vocab`"),
        ({"added_tokens": None}, "has no tokens under `model.vocab`"),
        ({"added_tokens": [{"content": "a"}]}, "has no tokens under `model.vocab`"),
        ({"added_tokens": ["a"]}, "has no tokens under `model.vocab`"),
        ({"added_tokens": [{"content": [], "id": 1}]}, "has no tokens under `model.vocab`"),
        ({"model": {"vocab": [["a", -1.5]]}}, "is no table of tokens and their numbers"),
        ({"model": {"vocab": {"a": -1}}}, "is no table of tokens and their numbers"),
        ({"model": {"vocab": {"a": "1"}}}, "is no table of tokens and their numbers"),
        (
            {"added_tokens": [{"content": "a", "id": 1.5}]},
            "is no table of tokens and their numbers",
        ),
        (
            {"model": {"vocab": {"\u2581the": 1}}},
            "`\u2581the` is no token of bytes, which a Whisper's are",
        ),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer()))
    change(path, **changes)
    assert refused(tmp_path).message == f"{path}: {told}"


def test_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("[1]")
    assert refused(tmp_path).message.endswith("is no table of tokens and their numbers")
    (tmp_path / "tokenizer.json").write_text("<html>")
    assert "tokenizer.json: not valid JSON: " in refused(tmp_path).message
