"""Write a recognizer's two programs as the files that the target's runtimes read."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.compress.weights import integer_weights
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.distill.speech.student import open_student
from edgedistill.models.programs import Method
from edgedistill.models.whisper.network import DECODE_STEP, ENCODE
from edgedistill.program import export
from edgedistill.records import FileEntry
from edgedistill.records.recognition import (
    Rounding,
    RoundingsRecord,
    StudentRecord,
    TranscribeRecord,
)
from edgedistill.records.recognizer import VOCABULARY, Guards, RecognizerRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.writing import write_file
from edgedistill.scratch import scratch_folder
from edgedistill.stages import Context
from edgedistill.target import Frozen, Precision, RuntimeName
from edgedistill.transcribing.decoding import Recognizer
from edgedistill.transcribing.golden import golden_utterances
from edgedistill.transcribing.long import Settings, joined, segments
from edgedistill.transcribing.recognizers import InRuntime, InTorch
from edgedistill.transcribing.vocabulary import Vocabulary
from edgedistill.transcripts.errors import align, total
from edgedistill.transcripts.normalize import Normalize, normalizer

if TYPE_CHECKING:
    from edgedistill.models.whisper.network import Whisper
    from edgedistill.program import Program

GUARDS = Guards(repeats=4, no_speech=0.6)
"""Of what ships."""
_IN_FLOAT = ("log_mel",)
_MORE_ERRORS = 1.0
"""Points of words that the fastest rounding may say otherwise beyond the one that says the least
otherwise."""
Activations = Literal["float", "dynamic"]
_WAYS: tuple[tuple[Activations, Activations], ...] = (
    ("float", "float"), ("dynamic", "float"), ("float", "dynamic"), ("dynamic", "dynamic"),
)  # fmt: skip


class Config(Frozen):
    """What the files depend on."""

    name: str
    """The recipe's: files are called after it."""
    runtimes: tuple[RuntimeName, ...]
    precisions: tuple[Precision, ...]
    activations: Literal["auto", "float", "dynamic"]
    utterances: int
    """Of validation, by which `auto` chooses."""
    weight_bits: int
    """Of int8 files, see `target.Scheme`."""
    processor: str
    """Digest of this processor's instructions."""


@dataclass(frozen=True)
class _Trial:
    """What int8 files are chosen by."""

    split: Utterances
    ids: tuple[int, ...]
    settings: Settings
    normalize: Normalize
    said: tuple[str, ...]
    """By the student in float."""

    def tried(self, recognizer: Recognizer) -> tuple[float, float]:
        """Words said otherwise, in percent, and the seconds that it took."""
        begin = time.perf_counter()
        texts = said(recognizer, self.split, self.ids, self.settings)
        seconds = time.perf_counter() - begin
        counts = total(align(self.said, texts, self.normalize, "words"))
        return 100.0 * counts.errors / max(counts.length, 1), seconds


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the files in `files`, the tokens and golden utterances beside them, `recognizer.json`,
    and how int8 files were chosen in `roundings.json`."""
    begin = time.monotonic()
    data, student = SpeechRecord.read(inputs["speech"]), StudentRecord.read(inputs["distill"])
    model = open_student(inputs["distill"])
    folder = context.scratch / "files"
    folder.mkdir(exist_ok=True)
    vocabulary = Vocabulary.read(inputs["distill"].file(VOCABULARY))
    vocabulary.write(folder / VOCABULARY)
    settings = Settings(
        language=data.language, rate=data.rate, window=data.window, rules=student.rules,
        guards=GUARDS, vocabulary=vocabulary,
    )  # fmt: skip
    programs = {
        name: export(Method(model, call), signature)
        for name, (call, signature) in model.programs().items()
    }
    entries: list[FileEntry] = []
    tried: list[Rounding] = []
    trial: _Trial | None = None
    wanted = list(itertools.product(config.runtimes, config.precisions))
    integers: dict[str, Program] = {}
    for done, (runtime, precision) in enumerate(wanted):
        if precision != "int8":
            spec = Spec(precision, (), name=config.name)
            entries += [write_file(p, runtime, spec, folder, n) for n, p in programs.items()]
        else:
            integers = integers or {
                name: integer_weights(program, _IN_FLOAT, bits=config.weight_bits)
                for name, program in programs.items()
            }
            if config.activations == "auto" and trial is None:
                trial = _trial(config, inputs, settings, model)
            found, rows = _rounded(config, runtime, integers, folder, trial, context)
            entries += found
            tried += rows
        context.reporter.tick("export", done + 1, len(wanted), f"{runtime}, {precision}")
    record = RecognizerRecord(
        language=data.language, rate=data.rate, window=data.window, rules=student.rules,
        guards=GUARDS, files=tuple(entries),
    )  # fmt: skip
    split = open_utterances(inputs["speech"].path, "validation")
    replace(record, golden=golden_utterances(record, split, settings, folder)).write(
        context.scratch
    )
    RoundingsRecord(tried=tuple(tried), utterances=len(trial.ids) if trial else 0).write(
        context.scratch
    )
    sizes = {each.file: each.bytes for each in entries}
    return {"bytes": sizes, "seconds": time.monotonic() - begin}


def _trial(
    config: Config, inputs: dict[str, Artifact], settings: Settings, model: Whisper
) -> _Trial:
    split = open_utterances(inputs["speech"].path, "validation")
    kept = TranscribeRecord.read(inputs["transcribe"]).kept["validation"]
    step = max(1, len(kept) // config.utterances)
    ids = tuple(kept[::step][: config.utterances])
    texts = said(InTorch(model), split, ids, settings)
    return _Trial(split, ids, settings, normalizer(settings.language), tuple(texts))


def said(
    recognizer: Recognizer, split: Utterances, ids: tuple[int, ...], settings: Settings
) -> list[str]:
    """What a recognizer makes of utterances."""
    found = []
    for at in ids:
        sound = split.audio[slice(*split.offsets[at : at + 2])]
        texts = [each.text for each in segments(recognizer, [sound], settings)]
        found.append(joined(texts, settings.language))
    return found


def _rounded(
    config: Config,
    runtime: RuntimeName,
    programs: dict[str, Program],
    folder: Path,
    trial: _Trial | None,
    context: Context,
) -> tuple[list[FileEntry], list[Rounding]]:
    """The int8 files of a runtime, each program with the activations that suit it."""
    if trial is None:
        spec = _spec(config, "dynamic" if config.activations == "dynamic" else "float")
        return [write_file(p, runtime, spec, folder, n) for n, p in programs.items()], []
    with scratch_folder() as scratch:
        places = {}
        for way in ("float", "dynamic"):
            places[way] = scratch / way
            places[way].mkdir()
            for name, program in programs.items():
                write_file(program, runtime, _spec(config, way), places[way], name)
        rows = list(_tried(config, runtime, places, trial, context))
    best = _best(rows)
    ways = {ENCODE: best.encode, DECODE_STEP: best.decode_step}
    context.reporter.say(
        f"export: int8 in {runtime}: activations of encode {best.encode}, of decode_step "
        f"{best.decode_step} ({best.word_error_rate:.2f} % of words otherwise than in float)"
    )
    files = [
        write_file(program, runtime, _spec(config, ways[name]), folder, name)  # type: ignore[arg-type]
        for name, program in programs.items()
    ]
    return files, [replace(each, chosen=each == best) for each in rows]


def _tried(
    config: Config, runtime: RuntimeName, places: dict[str, Path], trial: _Trial, context: Context
) -> Iterator[Rounding]:
    from edgedistill.runtimes.writing import file_path

    for done, (encode, step) in enumerate(_WAYS):
        loaded = [
            RUNTIMES[runtime].load(
                file_path(places[way], runtime, _spec(config, way), name), program=name
            )
            for name, way in ((ENCODE, encode), (DECODE_STEP, step))
        ]
        rate, seconds = trial.tried(InRuntime(*loaded))
        context.reporter.tick(f"int8 in {runtime}", done + 1, len(_WAYS), f"{encode}, {step}")
        yield Rounding(
            runtime=runtime, encode=encode, decode_step=step, word_error_rate=rate,
            seconds=seconds, chosen=False,
        )  # fmt: skip


def _best(rows: list[Rounding]) -> Rounding:
    """The fastest of those that say hardly more otherwise than the one that says least so."""
    least = min(each.word_error_rate for each in rows)
    near = [each for each in rows if each.word_error_rate <= least + _MORE_ERRORS]
    return min(near, key=lambda each: each.seconds)


def _spec(config: Config, activations: Activations) -> Spec:
    return Spec("int8", (), name=config.name, activations=activations)
