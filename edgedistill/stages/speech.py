"""Decode, split and check utterances."""

from __future__ import annotations

from typing import Any

from pydantic import field_serializer

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data.speech.prepare import prepare_speech
from edgedistill.recipe.speech import Speech
from edgedistill.stages import Context
from edgedistill.target import Frozen


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
    return {"utterances": record.counts, "hours": record.hours, "notes": record.notes}
