"""JSON Schemas of the documents that people and other programs read or write."""

from __future__ import annotations

from typing import Any

from edgedistill.artifact import JsonValue

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(document: str) -> dict[str, JsonValue]:
    """The JSON Schema (draft 2020-12) of a `recipe`, or of one for `transcription`; of a bundle's
    `manifest`, that of a bundle with a `recognizer` of speech, its `report`, or a recognizer's, the
    `recognition`; of a package, its `app`; of a search, its `search`.

    That of a bundle's documents is what is accepted when one is read; its `version` is the
    document's own format.
    """
    from pydantic import TypeAdapter

    if document == "recipe":
        from edgedistill.recipe import Recipe

        return {"$schema": DIALECT, **Recipe.model_json_schema()}
    if document == "transcription":
        from edgedistill.recipe import TranscriptionRecipe

        return {"$schema": DIALECT, **TranscriptionRecipe.model_json_schema()}
    if document == "manifest":
        from edgedistill.bundle.manifest import FORMAT, Manifest

        return {"$schema": DIALECT, "version": FORMAT, **Manifest.model_json_schema()}
    if document == "recognizer":
        from edgedistill.bundle.manifest import FORMAT
        from edgedistill.bundle.recognizer import RecognizerManifest

        return {"$schema": DIALECT, "version": FORMAT, **RecognizerManifest.model_json_schema()}
    if document == "app":
        from edgedistill.package.app import FORMAT as APP_FORMAT
        from edgedistill.package.app import App

        return {"$schema": DIALECT, "version": APP_FORMAT, **App.model_json_schema()}
    if document == "recognition":
        from edgedistill.bundle.manifest import FORMAT
        from edgedistill.records.recognition import RecognitionReport

        adapter: TypeAdapter[Any] = TypeAdapter(RecognitionReport)
        return {"$schema": DIALECT, "version": FORMAT, **adapter.json_schema()}
    if document == "search":
        from edgedistill.records.study import STUDY_FORMAT, StudyRecord

        adapter = TypeAdapter(StudyRecord)
        return {"$schema": DIALECT, "version": STUDY_FORMAT, **adapter.json_schema()}
    from edgedistill.records.report import REPORT_FORMAT, ReportRecord

    adapter = TypeAdapter(ReportRecord)
    return {"$schema": DIALECT, "version": REPORT_FORMAT, **adapter.json_schema()}
