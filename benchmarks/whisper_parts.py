"""What each part of a small Whisper is worth: one thing is changed at a time, and all students are
trained for as many passes.

    python -m benchmarks.whisper_parts TEACHER [--epochs N] [--only NAME ...] [--cache DIR]

TEACHER is a folder as transformers saves it. A student is judged in torch: cross entropy and
accuracy of a token on validation, before training and after, and the word error rate of the test
utterances, with a 95 % interval. About five minutes a row; the teacher is asked anew (half an hour
on two cores) for rows that change what it is asked. What is in the cache isn't done again, and rows
that were recorded for as many passes stay, each with the commit that it was measured at.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.common import DATA, RESULTS, commit, write
from benchmarks.whisper import TARGET, document
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data.speech.utterances import open_utterances
from edgedistill.distill.speech.student import open_student
from edgedistill.pipeline import run_until
from edgedistill.progress import Lines
from edgedistill.recipe import parse_recipe
from edgedistill.records.recognition import StudentRecord, TranscribeRecord
from edgedistill.records.recognizer import VOCABULARY
from edgedistill.records.speech import SpeechRecord
from edgedistill.transcribing.decoding import Guards
from edgedistill.transcribing.long import Settings, segments, transcript
from edgedistill.transcribing.recognizers import InTorch
from edgedistill.transcribing.vocabulary import Vocabulary
from edgedistill.transcripts.normalize import normalizer
from edgedistill.transcripts.rates import error_rate

_STUDENT: dict[str, Any] = {
    "encoder_ffn": 0.75, "decoder_ffn": 0.75, "vocabulary": "ascii", "tokens": 160,
}  # fmt: skip
_OPEN = {
    "word_error_rate": 1e4, "compression_ratio": 1e3, "log_probability": -100.0, "no_speech": 1.0,
    "repeats": 10_000, "words_per_second": 1e3,
}  # fmt: skip
_LAYERS = {"vocabulary": "ascii", "tokens": 160}
ROWS: dict[str, dict[str, Any]] = {
    "the student": {"student": _STUDENT},
    "no layer narrowed": {"student": _LAYERS},
    "heads pruned too (7 of 8)": {"student": {**_STUDENT, "encoder_heads": 7, "decoder_heads": 7}},
    "encoder's layers narrowed to a half": {"student": {**_STUDENT, "encoder_ffn": 0.5}},
    "decoder's layers narrowed to a half": {"student": {**_STUDENT, "decoder_ffn": 0.5}},
    "five decoder layers, found by leaving each out": {
        "student": {**_LAYERS, "decoder_layers": 5}
    },
    "two decoder layers, found by leaving each out": {"student": {**_LAYERS, "decoder_layers": 2}},
    "the first decoder layer and the last": {"student": {**_LAYERS, "decoder_layers": [0, 5]}},
    "no soft targets": {"student": _STUDENT, "stages.distill.soft": 0.0},
    "all tokens": {"student": {**_STUDENT, "vocabulary": "whole"}},
    "tokens of the data": {"student": {**_STUDENT, "vocabulary": "data"}},
    "no filter": {"student": _STUDENT, "stages.transcribe": {"filter": _OPEN}},
    "a window of 10 s": {"student": {**_STUDENT, "tokens": 128}, "data.seconds": 10},
    "a window of 30 s": {"student": {**_STUDENT, "tokens": 224}, "data.seconds": 30},
}  # fmt: skip
"""What differs from `benchmarks.whisper.document`; the first is what all others but one are."""


def judged(name: str, artifacts: dict[str, Artifact]) -> dict[str, Any]:
    """A row of a student as it was trained."""
    data, record = SpeechRecord.read(artifacts["speech"]), StudentRecord.read(artifacts["distill"])
    settings = Settings(
        language=data.language, rate=data.rate, window=data.window, rules=record.rules,
        guards=Guards(), vocabulary=Vocabulary.read(artifacts["distill"].file(VOCABULARY)),
    )  # fmt: skip
    model = open_student(artifacts["distill"])
    split, recognizer, texts = open_utterances(artifacts["speech"].path, "test"), InTorch(model), []
    begin = time.perf_counter()
    for at in range(len(split)):
        found = segments(recognizer, [split.audio[slice(*split.offsets[at : at + 2])]], settings)
        texts.append(transcript(list(found), int(split.lengths[at]), settings).text)
    asked = TranscribeRecord.read(artifacts["transcribe"])
    rate = error_rate(split.texts, texts, normalizer("en"), 0)
    assert rate is not None
    return {
        "row": name, "parameters": sum(each.numel() for each in model.parameters()),
        "decoder_layers": record.decoder, "before": vars(record.before),
        "after": vars(record.after), "coverage": record.coverage, "narrowed": record.narrowed,
        "learned_from": len(asked.kept["train"]), "dropped": asked.dropped,
        "error_rate": vars(rate), "decoding_seconds": time.perf_counter() - begin, "texts": texts,
    }  # fmt: skip


def recorded(epochs: float) -> dict[str, dict[str, Any]]:
    """The rows of the result file, if it is of so many passes."""
    path = RESULTS / "whisper_parts.json"
    found = json.loads(path.read_text()) if path.exists() else {"epochs": None}
    if found["epochs"] != epochs:
        return {}
    return {row["row"]: {"commit": found["commit"], **row} for row in found["rows"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--data", type=Path, default=DATA / "data")
    parser.add_argument("--cache", type=Path, default=default_root())
    parser.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS))
    asked = parser.parse_args()
    rows = recorded(asked.epochs)
    for name in asked.only:
        changes = {"stages.distill.epochs": asked.epochs, **ROWS[name]}
        told = document(asked.data.resolve(), asked.teacher.resolve(), changes)
        recipe = parse_recipe(told, name)
        row = judged(name, run_until(recipe, TARGET, Cache(asked.cache), Lines(), "distill"))
        rows[name] = {**row, "commit": commit()}
        print(name, row["after"], row["error_rate"], flush=True)
        ordered = [rows[each] for each in ROWS if each in rows]
        write("whisper_parts", ordered, seeds=[0], epochs=asked.epochs)


if __name__ == "__main__":
    main()
