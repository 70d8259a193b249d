"""The report of a recognizer's compile, from what the stages left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgedistill.artifact import Artifact
from edgedistill.devices import machine
from edgedistill.recipe.transcription import TranscriptionRecipe
from edgedistill.records import ContractLine
from edgedistill.records.recognition import (
    AblateRecord,
    RecognitionReport,
    Recognized,
    RecognizeRecord,
    RoundingsRecord,
    StudentRecord,
    TranscribeRecord,
)
from edgedistill.records.recognizer import RecognizerRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.records.speech_audit import SpeechAuditRecord
from edgedistill.records.speech_times import SpeechTimesRecord
from edgedistill.report.contract import line_of
from edgedistill.report.head import head
from edgedistill.target import Target


def build_recognition(
    recipe: TranscriptionRecipe, target: Target, artifacts: dict[str, Artifact]
) -> RecognitionReport:
    """The report of one target's compile; artifacts by step."""
    recognized = RecognizeRecord.read(artifacts["recognize"])
    shipped = _shipped(recognized, RecognizerRecord.read(artifacts["export"]))
    audited = SpeechAuditRecord.read(artifacts["audit"])
    timed = SpeechTimesRecord.read(artifacts["benchmark"])
    lines = tuple(filter(None, _contract(recipe, shipped, audited, timed)))
    return RecognitionReport(
        **head(recipe, target, machine()),
        data=SpeechRecord.read(artifacts["speech"]),
        transcribed=replace(TranscribeRecord.read(artifacts["transcribe"]), kept={}),
        ablated=AblateRecord.read(artifacts["ablate"]),
        student=replace(StudentRecord.read(artifacts["distill"]), kept_tokens=None),
        roundings=RoundingsRecord.read(artifacts["export"]),
        recognized=recognized,
        audited=audited,
        timed=timed,
        shipped=(shipped.runtime, shipped.precision),
        contract=lines,
        ok=all(line.status != "missed" for line in lines),
    )


def _shipped(recognized: RecognizeRecord, files: RecognizerRecord) -> Recognized:
    encode, _ = files.shipped()
    kind = encode.runtime, encode.precision
    return next(each for each in recognized.files if (each.runtime, each.precision) == kind)


def _contract(
    recipe: TranscriptionRecipe, shipped: Recognized, audited: SpeechAuditRecord,
    timed: SpeechTimesRecord,
) -> Iterator[ContractLine | None]:  # fmt: skip
    asked, rate = recipe.contract, shipped.error_rate
    low, high = rate.words_interval
    told = f"{rate.reference_words} words; 95 % interval {low:.3g} to {high:.3g} %"
    below, above = shipped.increase_interval
    more = f"95 % interval {below:.3g} to {above:.3g} points"
    yield line_of("word error rate", rate.words, asked.max_wer, "%", told)
    yield line_of("above the teacher's", shipped.increase, asked.max_wer_increase, "points", more)
    yield line_of("size", shipped.bytes / 1e6, asked.max_size_mb, "MB")
    quiet = [each for each in audited.made_up if each.sound in ("silence", "white noise")]
    words = sum(each.shipped for each in quiet)
    made_up = ", ".join(f"{each.shipped} in {each.seconds:g} s of {each.sound}" for each in quiet)
    made_up += f"; the teacher {sum(each.teacher_unguarded for each in quiet)}, without guards"
    yield line_of("made-up words", words, asked.max_hallucinated_words, "words", made_up)
    yield _speedup(asked.min_speedup, shipped, timed)


def _speedup(
    limit: float | None, shipped: Recognized, timed: SpeechTimesRecord
) -> ContractLine | None:
    ours = timed.of("student", shipped.runtime, shipped.precision)
    theirs = timed.of("teacher", shipped.runtime, "fp32")
    value, note = None, ""
    if ours is not None and theirs is not None:
        value = sum(theirs.seconds) / sum(ours.seconds)
        note = (
            f"than the teacher whole, fp32 in {shipped.runtime}, in turns on {timed.what}, here, "
            "one thread"
        )
    return line_of("speed", value, limit, "times", note, at_least=True)
