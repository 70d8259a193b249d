"""What a recognizer is told before it speaks, and what it may not say: data that a bundle
carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgedistill.errors import UserError, nearest
from edgedistill.records.recognizer import Rules
from edgedistill.transcribing.vocabulary import Vocabulary

__all__ = ["TASKS", "Rules", "languages", "read_rules"]

TASKS = ("transcribe", "translate")
_NO_SPEECH = ("<|nospeech|>", "<|nocaptions|>")
_SAVED = "save the model anew with its `generation_config.json`"


def languages(generation: Mapping[str, Any]) -> dict[str, int]:
    """The token of each language, by its code, as `en`; none of a model of English alone."""
    table = generation.get("lang_to_id") or {}
    return {name.strip("<|>"): int(token) for name, token in table.items()}


def read_rules(
    generation: Mapping[str, Any],
    vocabulary: Vocabulary,
    language: str,
    task: str = "transcribe",
    limit: int | None = None,
) -> Rules:
    """The rules that `generation_config.json` tells; `limit`: fewer tokens than it allows.

    Raises UserError: it lacks what a Whisper's has, or the model does not know the language or
    the task.
    """
    try:
        start, end = generation["decoder_start_token_id"], generation["eos_token_id"]
        no_times = generation["no_timestamps_token_id"]
        most = int(generation.get("max_length", 448))
        told = _told(generation, language, task)
        suppressed = tuple(generation.get("suppress_tokens") or ())
        suppressed_first = tuple(generation.get("begin_suppress_tokens") or ())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"generation_config.json: lacks what a Whisper's has ({error})", _SAVED
        ) from None
    names = [vocabulary.named[each] for each in _NO_SPEECH if each in vocabulary.named]
    rules = Rules(
        prompt=(start, *told, no_times),
        end=end,
        suppressed=suppressed,
        suppressed_first=suppressed_first,
        limit=most if limit is None else min(most, limit),
        no_speech=next(iter(names), None),
    )
    _check(rules, len(vocabulary.pieces))
    _check_names(rules, vocabulary, language, task)
    return rules


def _told(generation: Mapping[str, Any], language: str, task: str) -> tuple[int, ...]:
    if not generation.get("is_multilingual", True):
        if language != "en" or task != "transcribe":
            raise UserError(
                f"the model transcribes English alone; `{task}` of `{language}` was asked for",
                "leave the language out, or take a multilingual model",
            )
        return ()
    known, tasks = languages(generation), generation.get("task_to_id") or {}
    if language not in known:
        raise UserError(
            f"the model does not know the language `{language}`", nearest(language, list(known))
        )
    if task not in tasks:
        raise UserError(f"the model does not know the task `{task}`", nearest(task, list(tasks)))
    return known[language], int(tasks[task])


def _check(rules: Rules, count: int) -> None:
    """Raises UserError: a number is no token's, or the prompt fills all."""
    named = (*rules.prompt, rules.end, *rules.suppressed, *rules.suppressed_first)
    wrong = [each for each in named if not isinstance(each, int) or not 0 <= each < count]
    if wrong:
        raise UserError(
            f"generation_config.json: names {wrong[0]!r}, which is none of the model's {count} "
            "tokens",
            _SAVED,
        )
    if rules.limit <= len(rules.prompt):
        raise UserError(
            f"transcripts of {rules.limit} tokens at most: {len(rules.prompt)} of them begin each",
            "allow for more",
        )


def _check_names(rules: Rules, vocabulary: Vocabulary, language: str, task: str) -> None:
    """Raises UserError: what begins or ends a transcript is something else to the tokenizer, as
    that of another version is."""
    names = ("<|startoftranscript|>", f"<|{language}|>", f"<|{task}|>", "<|notimestamps|>")
    known = {names[0]: rules.prompt[0], names[-1]: rules.prompt[-1], "<|endoftext|>": rules.end}
    if len(rules.prompt) == len(names):
        known |= dict(zip(names, rules.prompt, strict=True))
    named = vocabulary.named
    wrong = [name for name, number in known.items() if named.get(name, number) != number]
    if wrong:
        raise UserError(
            f"the tokenizer does not fit generation_config.json: `{wrong[0]}` is token "
            f"{named[wrong[0]]} to it, and {known[wrong[0]]} there",
            "give the tokenizer that was saved with the model",
        )
