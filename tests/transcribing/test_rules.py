"""What a recognizer is told, and may not say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper_models import COUNT, END, GENERATION, NAMED, PROMPT, RULES

from edgedistill.errors import UserError
from edgedistill.transcribing.rules import Rules, languages, read_rules
from edgedistill.transcribing.vocabulary import Vocabulary

VOCABULARY = Vocabulary((b"",) * COUNT, NAMED)
ENGLISH = GENERATION | {"is_multilingual": False, "lang_to_id": None, "task_to_id": None}


def rules(generation: dict[str, Any] = GENERATION, language: str = "en", **options: Any) -> Rules:
    return read_rules(generation, VOCABULARY, language, **options)


def refused(
    generation: dict[str, Any] = GENERATION, language: str = "en", **options: Any
) -> tuple[str, str]:
    with pytest.raises(UserError) as error:
        rules(generation, language, **options)
    return error.value.message, error.value.hint


def test_are_what_the_file_tells() -> None:
    assert rules() == RULES
    told = [NAMED[f"<|{each}|>"] for each in ("startoftranscript", "de", "translate")]
    assert rules(language="de", task="translate").prompt == (*told, PROMPT[-1])


def test_of_english_alone_nothing_is_told_of_languages() -> None:
    assert rules(ENGLISH).prompt == (PROMPT[0], PROMPT[-1])
    assert rules(ENGLISH).suppressed == RULES.suppressed
    for language, task in (("de", "transcribe"), ("en", "translate")):
        assert refused(ENGLISH, language, task=task) == (
            f"the model transcribes English alone; `{task}` of `{language}` was asked for",
            "leave the language out, or take a multilingual model",
        )


def test_languages_have_their_codes_names() -> None:
    assert languages(GENERATION) == {each: NAMED[f"<|{each}|>"] for each in ("en", "de", "fr")}
    assert languages(ENGLISH) == languages({}) == {}


def test_what_the_model_does_not_know_is_told() -> None:
    assert refused(language="dee") == (
        "the model does not know the language `dee`", "did you mean `de`?",
    )  # fmt: skip
    assert refused(language="ja")[1] == "one of: de, en, fr"
    assert refused(task="translat") == (
        "the model does not know the task `translat`", "did you mean `translate`?",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "most", "found"),
    [(None, 24, 24), (10, 24, 10), (99, 24, 24), (None, None, 448), (100, None, 100)],
)
def test_the_lower_limit_holds(limit: int | None, most: int | None, found: int) -> None:
    generation = {key: each for key, each in GENERATION.items() if key != "max_length"}
    if most is not None:
        generation["max_length"] = most
    assert rules(generation, limit=limit).limit == found


@pytest.mark.parametrize("limit", [0, 1, 4])
def test_a_prompt_that_fills_all_is_refused(limit: int) -> None:
    assert refused(limit=limit) == (
        f"transcripts of {limit} tokens at most: 4 of them begin each", "allow for more",
    )  # fmt: skip
    assert rules(limit=5).limit == 5


@pytest.mark.parametrize("name", ["<|nospeech|>", "<|nocaptions|>", None])
def test_no_speech_has_one_of_two_names_or_none(name: str | None) -> None:
    named = {} if name is None else {name: 290}
    found = read_rules(GENERATION, Vocabulary((b"",) * COUNT, named), "en")
    assert found.no_speech == (None if name is None else 290)


@pytest.mark.parametrize(
    "key", ["decoder_start_token_id", "eos_token_id", "no_timestamps_token_id"]
)
def test_what_a_whisper_s_has_is_needed(key: str) -> None:
    found = refused({name: each for name, each in GENERATION.items() if name != key})
    assert found == (
        f"generation_config.json: lacks what a Whisper's has ('{key}')",
        "save the model anew with its `generation_config.json`",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"max_length": "long"},
        {"max_length": None},
        {"lang_to_id": ["<|en|>"]},
        {"lang_to_id": {"<|en|>": "first"}},
        {"lang_to_id": {"<|en|>": None}},
        {"task_to_id": ["transcribe"]},
        {"suppress_tokens": 5},
        {"begin_suppress_tokens": 5},
    ],
)
def test_values_of_another_kind_are_refused(changes: dict[str, Any]) -> None:
    told, _ = refused(GENERATION | changes)
    assert told.startswith("generation_config.json: lacks what a Whisper's has (")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"eos_token_id": COUNT}, "300"),
        ({"eos_token_id": [END]}, "[267]"),
        ({"decoder_start_token_id": None}, "None"),
        ({"no_timestamps_token_id": -1}, "-1"),
        ({"lang_to_id": {"<|en|>": 50259}}, "50259"),
        ({"suppress_tokens": [1, 50000]}, "50000"),
        ({"begin_suppress_tokens": ["220"]}, "'220'"),
    ],
)
def test_tokens_that_are_none_of_the_model_s_are_refused(
    changes: dict[str, Any], wrong: str
) -> None:
    assert refused(GENERATION | changes) == (
        f"generation_config.json: names {wrong}, which is none of the model's 300 tokens",
        "save the model anew with its `generation_config.json`",
    )


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(COUNT)), st.integers(0, COUNT))
def test_of_fewer_tokens_they_say_the_same(shuffled: list[int], count: int) -> None:
    needed = (*PROMPT, END)
    kept = [each for place, each in enumerate(shuffled) if place < count or each in needed]
    found = RULES.trimmed(kept)
    assert tuple(kept[each] for each in found.prompt) == PROMPT
    assert kept[found.end] == END
    for said, whole in (
        (found.suppressed, RULES.suppressed), (found.suppressed_first, RULES.suppressed_first),
    ):  # fmt: skip
        assert [kept[each] for each in said] == [each for each in whole if each in kept]
    assert (found.no_speech is None) == (RULES.no_speech not in kept)
    assert found.no_speech is None or kept[found.no_speech] == RULES.no_speech
    assert found.limit == RULES.limit


def test_no_speech_may_have_no_token_before_or_after() -> None:
    kept = [*range(COUNT)]
    assert Rules(prompt=(1,), end=2, limit=9).trimmed(kept).no_speech is None


def test_what_begins_or_ends_a_transcript_is_kept() -> None:
    kept = [each for each in range(COUNT) if each not in (END, NAMED["<|en|>"])]
    with pytest.raises(UserError) as error:
        RULES.trimmed(kept)
    assert error.value.message == (
        f"the vocabulary that is kept lacks tokens [{NAMED['<|en|>']}, {END}], which begin or end "
        "each transcript"
    )


def test_another_version_s_tokenizer_is_told() -> None:
    shifted = NAMED | {"<|transcribe|>": NAMED["<|transcribe|>"] + 1}
    with pytest.raises(UserError) as error:
        read_rules(GENERATION, Vocabulary((b"",) * COUNT, shifted), "en")
    assert error.value.message == (
        "the tokenizer does not fit generation_config.json: `<|transcribe|>` is token "
        f"{NAMED['<|transcribe|>'] + 1} to it, and {NAMED['<|transcribe|>']} there"
    )
