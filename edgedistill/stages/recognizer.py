"""Write a recognizer's two programs as the files that the target's runtimes read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.distill.speech.student import open_student
from edgedistill.models.programs import Method
from edgedistill.program import export
from edgedistill.records.recognition import StudentRecord
from edgedistill.records.recognizer import VOCABULARY, Guards, RecognizerRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.runtimes import Spec
from edgedistill.runtimes.writing import write_file
from edgedistill.stages import Context
from edgedistill.target import Frozen, Precision, RuntimeName
from edgedistill.transcribing.vocabulary import Vocabulary

if TYPE_CHECKING:
    from edgedistill.models.whisper.network import Whisper
    from edgedistill.program import Program

GUARDS = Guards(repeats=4, no_speech=0.6)
"""Of what ships."""


class Config(Frozen):
    """What the files depend on."""

    name: str
    """The recipe's: files are called after it."""
    runtimes: tuple[RuntimeName, ...]
    precisions: tuple[Precision, ...]
    processor: str
    """Digest of this processor's instructions."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the files in `files`, the tokens beside them, and `recognizer.json`."""
    begin = time.monotonic()
    data, student = SpeechRecord.read(inputs["speech"]), StudentRecord.read(inputs["distill"])
    model = open_student(inputs["distill"])
    kinds: dict[str, dict[str, Program]] = {}
    folder = context.scratch / "files"
    folder.mkdir(exist_ok=True)
    entries = []
    wanted = [
        (runtime, precision) for runtime in config.runtimes for precision in config.precisions
    ]
    for done, (runtime, precision) in enumerate(wanted):
        kind = "int8" if precision == "int8" else "float"
        if kind not in kinds:
            kinds[kind] = programs_of(model)
        for name, program in kinds[kind].items():
            spec = Spec(precision, (), name=config.name)
            entries.append(write_file(program, runtime, spec, folder, name))
        context.reporter.tick("export", done + 1, len(wanted), f"{runtime}, {precision}")
    Vocabulary.read(inputs["distill"].file(VOCABULARY)).write(folder / VOCABULARY)
    RecognizerRecord(
        language=data.language, rate=data.rate, window=data.window,
        rules=student.rules, guards=GUARDS, files=tuple(entries),
    ).write(context.scratch)  # fmt: skip
    sizes = {each.file: each.bytes for each in entries}
    return {"bytes": sizes, "seconds": time.monotonic() - begin}


def programs_of(model: Whisper) -> dict[str, Program]:
    """In float, by name."""
    return {
        name: export(Method(model, call), signature)
        for name, (call, signature) in model.programs().items()
    }
