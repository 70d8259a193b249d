"""Measure what a recognizer's files take on this machine, and beside the teacher if asked."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.models.programs import Method
from edgedistill.models.whisper.folder import find, shape_of
from edgedistill.program import export
from edgedistill.records.recognizer import RecognizerRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.records.speech_times import SpeechTimesRecord
from edgedistill.runtimes import Spec
from edgedistill.runtimes.writing import write_file
from edgedistill.scratch import scratch_folder
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.transcribing.measuring import Subject, measure, subject_of
from edgedistill.transcribing.opening import as_given

UTTERANCES = 3


class Config(Frozen):
    """What the measurements depend on."""

    name: Path | str | None
    """Of the teacher that is measured too; None: it is not."""
    fingerprint: str
    tokens: int
    """Of a student's transcript of a window, at most."""
    machine: str
    """Digest of this machine's identity: another machine measures anew."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `speech_times.json`."""
    begin = time.monotonic()
    data, record = SpeechRecord.read(inputs["speech"]), RecognizerRecord.read(inputs["export"])
    split = open_utterances(inputs["speech"].path, "validation")
    ids = _chosen(split)
    sounds = [np.array(split.audio[slice(*split.offsets[at : at + 2])]) for at in ids]
    place = inputs["export"].file("files")
    subjects = [subject_of(record, pair, place) for pair in record.pairs()]
    with scratch_folder() as folder:
        if config.name is not None:
            runtime = record.shipped()[0].runtime
            subjects.append(_teacher(config, str(config.name), data, runtime, folder))
        rows = measure(
            subjects, sounds,
            tick=lambda done, all_, note: context.reporter.tick("benchmark", done, all_, note),
        )  # fmt: skip
    lengths = ", ".join(f"{split.seconds[at]:.3g}" for at in ids)
    what = f"{len(ids)} validation utterances of {lengths} s"
    SpeechTimesRecord(rows=rows, what=what).write(context.scratch)
    memory = {f"{each.model} {each.runtime} {each.precision}": each.peak_memory_mb
              for each in rows}  # fmt: skip
    return {"peak_memory_mb": memory, "seconds": time.monotonic() - begin}


def _chosen(split: Utterances) -> list[int]:
    """Utterances of ordinary lengths: at the quarters of all, in their order."""
    order = np.argsort(split.lengths, kind="stable")
    places = [len(order) * quarter // (UTTERANCES + 1) for quarter in range(1, UTTERANCES + 1)]
    return sorted({int(order[place]) for place in places})


def _teacher(config: Config, name: str, data: SpeechRecord, runtime: str, folder: Path) -> Subject:
    """Whole, with its own window, in float. Of positions for a transcript, which cost time at each
    token, it has no more for a second than the student."""
    teacher = find(name)
    shape = shape_of(teacher)
    tokens = min(shape.tokens, round(config.tokens * shape.samples / data.window))
    model, settings = as_given(teacher, data.language, data.rate, tokens)
    spec = Spec("fp32", (), name="teacher")
    entries = tuple(
        write_file(export(Method(model, call), signature), runtime, spec, folder, program)
        for program, (call, signature) in model.programs().items()
    )
    record = RecognizerRecord(
        language=data.language, rate=data.rate, window=settings.window, rules=settings.rules,
        guards=settings.guards, files=entries,
    )  # fmt: skip
    return subject_of(record, record.pairs()[0], folder, "teacher")
