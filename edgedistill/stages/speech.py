"""Decode, split and check utterances."""

from __future__ import annotations

from typing import Any

from pydantic import field_serializer

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data.speech.prepare import prepare_speech
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.errors import UserError
from edgedistill.recipe.speech import Speech
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.transcripts.normalize import normalizer


class Config(Frozen):
    """What the utterances depend on."""

    speech: Speech
    fingerprint: str

    @field_serializer("speech")
    def _what_is_read(self, speech: Speech) -> dict[str, Any]:
        return speech.model_dump(exclude={"noise"})


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the splits, and `speech.json`."""
    record = prepare_speech(config.speech, context.seed, context.scratch, context.reporter)
    _check_test(open_utterances(context.scratch, "test"), config.speech.language)
    return {"utterances": record.counts, "hours": record.hours, "notes": record.notes}


def _check_test(split: Utterances, language: str) -> None:
    """Raises UserError: nobody can be judged on it, which else were told after the training."""
    known = [text for text in split.texts if text is not None]
    if not known:
        raise UserError(
            "no utterance of the test set has a transcript: no error rate can be told",
            "give `data.test` with a transcript of each recording",
        )
    normalize = normalizer(language)
    for text in known:
        normalize(text)
